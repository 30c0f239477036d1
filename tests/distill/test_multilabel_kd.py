"""MKD against hand-computed values, torch's own divergences and the authors' scale."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Bernoulli, kl_divergence

from mvkt_ray.distill.losses.multilabel_kd import multilabel_kd, multilabel_kd_authors


def _logits(seed: int, n_classes: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, 7, n_classes)
    student_BC, teacher_BC = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return student_BC, teacher_BC


def test_one_class_by_hand():
    student_BC, teacher_BC = torch.tensor([[0.0]]), torch.tensor([[math.log(3)]])
    by_hand = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert multilabel_kd(student_BC, teacher_BC, 1.0).item() == pytest.approx(by_hand)
    # Twice the logit at twice the temperature is the same probability, and T^2 is 4.
    assert multilabel_kd(student_BC, 2 * teacher_BC, 2.0).item() == pytest.approx(4 * by_hand)


@pytest.mark.parametrize("temperature", [1.0, 2.5, 8.0])
def test_it_is_the_mean_bernoulli_divergence_of_torch(temperature: float):
    student_BC, teacher_BC = _logits(0)
    expected = kl_divergence(
        Bernoulli(logits=teacher_BC / temperature), Bernoulli(logits=student_BC / temperature)
    ).mean()
    value = multilabel_kd(student_BC, teacher_BC, temperature)
    torch.testing.assert_close(value, temperature**2 * expected)


@given(seed=st.integers(0, 10**6), temperature=st.floats(0.5, 10))
@settings(max_examples=25)
def test_it_is_never_negative(seed: int, temperature: float):
    student_BC, teacher_BC = _logits(seed)
    assert multilabel_kd(student_BC, teacher_BC, temperature) >= 0


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_it_and_its_gradient_vanish_when_the_student_equals_the_teacher(temperature: float):
    teacher_BC = _logits(1)[0].float()
    student_BC = teacher_BC.clone().requires_grad_()
    loss = multilabel_kd(student_BC, teacher_BC, temperature)
    loss.backward()
    assert loss.item() == 0
    assert student_BC.grad is not None
    assert student_BC.grad.abs().max() < 1e-7


@pytest.mark.parametrize("n_classes", [5, 9])
def test_at_temperature_one_it_is_two_over_c_of_the_authors_value(n_classes: int):
    student_BC, teacher_BC = _logits(2, n_classes)
    ours = multilabel_kd(student_BC, teacher_BC, 1.0)
    authors = multilabel_kd_authors(student_BC, teacher_BC, 1.0)
    torch.testing.assert_close(ours, authors * 2 / n_classes, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_authors_value_is_torchs_kl_div_summed_over_classes(temperature: float):
    student_BC, teacher_BC = _logits(3)
    expected = torch.zeros((), dtype=torch.float64)
    for student_B, teacher_B in zip(student_BC.T, teacher_BC.T, strict=True):
        student_B2 = torch.stack([student_B.sigmoid(), 1 - student_B.sigmoid()], 1) / temperature
        teacher_B2 = torch.stack([teacher_B.sigmoid(), 1 - teacher_B.sigmoid()], 1) / temperature
        expected += torch.nn.functional.kl_div(
            (student_B2 + 1e-8).log(), teacher_B2 + 1e-8, reduction="none"
        ).mean()
    value = multilabel_kd_authors(student_BC, teacher_BC, temperature)
    torch.testing.assert_close(value, expected)


def test_the_authors_temperature_only_divides_their_loss():
    student_BC, teacher_BC = _logits(4)
    torch.testing.assert_close(
        multilabel_kd_authors(student_BC, teacher_BC, 4.0),
        multilabel_kd_authors(student_BC, teacher_BC, 1.0) / 4,
        rtol=1e-5,
        atol=1e-7,
    )


def test_it_is_the_mld_of_l2d_divided_by_the_number_of_classes():
    student_BC, teacher_BC = _logits(5)
    p_s, p_t = student_BC.sigmoid(), teacher_BC.sigmoid()
    per_class = p_t * (p_t / p_s).log() + (1 - p_t) * ((1 - p_t) / (1 - p_s)).log()
    mld = per_class.sum(dim=1).mean()
    torch.testing.assert_close(multilabel_kd(student_BC, teacher_BC, 1.0), mld / 5)


def test_saturated_logits_stay_finite_with_the_right_size():
    student_BC = torch.tensor([[-80.0, 80.0]], requires_grad=True)
    loss = multilabel_kd(student_BC, torch.tensor([[80.0, 80.0]]), 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(40.0)
    assert student_BC.grad is not None
    torch.testing.assert_close(student_BC.grad, torch.tensor([[-0.5, 0.0]]))


@pytest.mark.parametrize("loss", [multilabel_kd, multilabel_kd_authors])
def test_no_gradient_reaches_the_teacher(loss):
    student_BC, teacher_BC = _logits(6)
    teacher_BC.requires_grad_()
    assert not loss(student_BC, teacher_BC, 2.0).requires_grad


@pytest.mark.parametrize("loss", [multilabel_kd, multilabel_kd_authors])
def test_weights_of_classes_are_factors_of_their_parts_of_the_sum(loss):
    student_BC, teacher_BC = _logits(7)
    n_classes = student_BC.shape[1]
    whole = loss(student_BC, teacher_BC, 2.0)
    torch.testing.assert_close(loss(student_BC, teacher_BC, 2.0, torch.ones(n_classes)), whole)
    parts = [loss(student_BC, teacher_BC, 2.0, of_one) for of_one in torch.eye(n_classes)]
    torch.testing.assert_close(sum(parts), whole)
    weights_C = torch.arange(n_classes).to(whole.dtype)
    weighted = loss(student_BC, teacher_BC, 2.0, weights_C)
    torch.testing.assert_close(weighted, torch.stack(parts) @ weights_C)
