"""The course of the learning rate, by hand; and that a schedule survives a checkpoint."""

import pytest
import torch
from torch import nn

from mvkt_ray.config.recipes import Hyperparameters, TeacherConfig
from mvkt_ray.training.optimizers import (
    Steering,
    build_optimizer,
    build_schedule,
    steps_factor,
)


def course_of(steering: Steering, *, epochs: int, steps_per_epoch: int) -> list[float]:
    """Rates that every step of a training is taken with."""
    weight = nn.Parameter(torch.ones(1))
    optimizer = build_optimizer(steering, [weight])
    schedule = build_schedule(steering, optimizer, epochs=epochs, steps_per_epoch=steps_per_epoch)
    rates: list[float] = []
    for _ in range(epochs * steps_per_epoch):
        weight.grad = torch.ones(1)
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return rates


def test_steps_is_the_authors_course_for_the_student() -> None:
    # 100 epochs at 1e-3, 1e-4 * (e + 1) for 15 epochs, a tenth at epochs 40 and 70.
    authors = Steering.of(
        Hyperparameters(schedule="steps", warmup_epochs=15, warmup_factor=0.1, learning_rate=1e-3)
    )
    rates = course_of(authors, epochs=100, steps_per_epoch=2)[::2]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[14] == pytest.approx(1.5e-3)
    assert rates[15:40] == pytest.approx([1e-3] * 25)
    assert rates[40:70] == pytest.approx([1e-4] * 30)
    assert rates[70:] == pytest.approx([1e-5] * 30)


def test_steps_is_the_authors_course_for_the_teacher() -> None:
    authors = Steering.of(TeacherConfig(schedule="steps", warmup_epochs=15, learning_rate=1e-3))
    assert steps_factor(authors, 0, 100) == 1.0
    assert steps_factor(authors, 14, 100) == 15.0
    assert steps_factor(authors, 15, 100) == 1.0


def test_steps_decays_at_the_first_epoch_past_each_share_of_a_short_training() -> None:
    plain = Steering.of(Hyperparameters(schedule="steps"))
    factors = [steps_factor(plain, epoch, 7) for epoch in range(7)]
    # 40 % of 7 is 2.8 and 70 % is 4.9.
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize("epochs", [1, 2, 10])
def test_one_cycle_rises_to_the_learning_rate_and_ends_near_zero(epochs: int) -> None:
    steering = Steering.of(Hyperparameters(schedule="one_cycle", learning_rate=0.01))
    rates = course_of(steering, epochs=epochs, steps_per_epoch=10)
    peak = rates.index(max(rates))
    # The peak is at 30 % of the steps, as in fastai's default.
    assert peak == pytest.approx(0.3 * len(rates), abs=1)
    assert max(rates) == pytest.approx(0.01, rel=0.02)
    assert rates[-1] < 1e-6
    assert rates[: peak + 1] == sorted(rates[: peak + 1])


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_one_cycle_manages_very_few_steps(steps: int) -> None:
    steering = Steering.of(Hyperparameters(schedule="one_cycle"))
    assert len(course_of(steering, epochs=1, steps_per_epoch=steps)) == steps


def test_constant_is_constant() -> None:
    steering = Steering.of(Hyperparameters(schedule="constant", learning_rate=0.02))
    assert set(course_of(steering, epochs=3, steps_per_epoch=4)) == {0.02}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_weight_decay_shrinks_weights_without_gradient_in_adamw_only_by_its_own_rate(
    optimizer: str,
) -> None:
    steering = Steering.of(
        Hyperparameters(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5)  # type: ignore[arg-type]
    )
    weight = nn.Parameter(torch.ones(1))
    weight.grad = torch.zeros(1)
    build_optimizer(steering, [weight]).step()
    # AdamW: 1 - 0.1 * 0.5. Adam takes the decay for a gradient, whose first step has size lr.
    assert weight.item() == pytest.approx(0.95 if optimizer == "adamw" else 0.9, abs=1e-6)
