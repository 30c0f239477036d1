"""The intra-class relation of DIST; over two ranks it is in test_over_ranks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mvkt_ray.distill.losses.dist_relation import dist_relation

B, C = 9, 4


def _logits(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    student_BC, teacher_BC = 3 * torch.randn(2, B, C, generator=generator, dtype=torch.float64)
    return student_BC, teacher_BC


def _logit(probability: Tensor) -> Tensor:
    return torch.log(probability) - torch.log1p(-probability)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), temperature=st.sampled_from([1.0, 2.0, 5.0]))
def test_it_is_one_minus_numpys_correlation_of_each_class(seed: int, temperature: float) -> None:
    student_BC, teacher_BC = _logits(seed)
    total = 0.0
    for c in range(C):
        p_s = 1 / (1 + np.exp(-student_BC[:, c].numpy() / temperature))
        p_t = 1 / (1 + np.exp(-teacher_BC[:, c].numpy() / temperature))
        total += 1 - np.corrcoef(p_s, p_t)[0, 1]
    loss = dist_relation(student_BC, teacher_BC, temperature)
    assert loss.item() == pytest.approx(total / C)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), factor=st.floats(0.2, 1.0), shift=st.floats(0.0, 0.9))
def test_a_less_certain_student_of_the_same_order_costs_nothing(
    seed: int, factor: float, shift: float
) -> None:
    _, teacher_BC = _logits(seed)
    low = (1 - factor) * shift
    probability_BC = (factor * torch.sigmoid(teacher_BC) + low).clamp(1e-9, 1 - 1e-9)
    loss = dist_relation(_logit(probability_BC), teacher_BC, 1.0)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_a_student_that_says_the_opposite_costs_two() -> None:
    _, teacher_BC = _logits(0)
    assert dist_relation(-teacher_BC, teacher_BC, 2.0).item() == pytest.approx(2)


def test_a_class_of_which_the_teacher_says_one_thing_costs_nothing() -> None:
    student_BC, teacher_BC = _logits(1)
    others = dist_relation(student_BC[:, 1:], teacher_BC[:, 1:], 2.0).item()
    teacher_BC[:, 0] = -3.0
    student_BC.requires_grad_()
    loss = dist_relation(student_BC, teacher_BC, 2.0)
    loss.backward()
    assert loss.item() == pytest.approx(others * (C - 1) / C)
    assert student_BC.grad is not None
    assert torch.equal(student_BC.grad[:, 0], torch.zeros(B).double())


def test_a_student_that_says_one_thing_costs_one_and_learns_with_a_finite_gradient() -> None:
    _, teacher_BC = _logits(2)
    student_BC = torch.zeros(B, C, requires_grad=True)
    loss = dist_relation(student_BC, teacher_BC.float(), 2.0)
    loss.backward()
    assert loss.item() == pytest.approx(1)
    assert student_BC.grad is not None
    assert student_BC.grad.isfinite().all()
    assert 0 < student_BC.grad.abs().max() < 100
    better = dist_relation(student_BC.detach() - 1e-4 * student_BC.grad, teacher_BC.float(), 2.0)
    assert better < loss


@pytest.mark.parametrize("logit", [-60.0, 60.0])
def test_saturated_probabilities_have_finite_gradients(logit: float) -> None:
    student_BC = torch.full((B, C), logit, requires_grad=True)
    dist_relation(student_BC, torch.full((B, C), logit), 1.0).backward()
    assert student_BC.grad is not None
    assert student_BC.grad.isfinite().all()


def test_one_recording_has_no_order() -> None:
    student_BC, teacher_BC = _logits(3)
    assert dist_relation(student_BC[:1], teacher_BC[:1], 2.0).item() == 0


def test_gradients_are_those_of_finite_differences() -> None:
    student_BC, teacher_BC = _logits(4)
    assert torch.autograd.gradcheck(
        lambda student_BC: dist_relation(student_BC, teacher_BC, 2.0),
        (student_BC.requires_grad_(),),
    )


def test_the_teacher_has_no_gradient() -> None:
    student_BC, teacher_BC = (logits.requires_grad_() for logits in _logits(5))
    dist_relation(student_BC, teacher_BC, 2.0).backward()
    assert teacher_BC.grad is None
