"""InfoNCE over a batch; over two ranks it is in test_over_ranks."""

import math

import pytest
import torch
from torch.nn import functional

from mvkt_ray.distill.losses.clt_infonce import clt_infonce
from mvkt_ray.errors import ConfigError


def _projections(seed: int, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randn(2, n, 4, generator=generator, dtype=torch.float64)
    student_BP, teacher_BP = functional.normalize(raw, dim=2)
    return student_BP, teacher_BP


def test_two_strangers_by_hand():
    axes_BP = torch.eye(2)
    loss = clt_infonce(axes_BP, axes_BP, torch.eye(2), 1.0)
    assert loss.item() == pytest.approx(math.log(math.e + 1) - 1)


def test_without_diseases_it_is_torchs_cross_entropy_in_both_directions():
    student_BP, teacher_BP = _projections(0)
    similarity_BB = student_BP @ teacher_BP.T / 0.2
    diagonal_B = torch.arange(6)
    expected = 0.5 * (
        functional.cross_entropy(similarity_BB, diagonal_B)
        + functional.cross_entropy(similarity_BB.T, diagonal_B)
    )
    loss = clt_infonce(student_BP, teacher_BP, torch.ones(6, 3), 0.2, "any")
    torch.testing.assert_close(loss, expected)


def test_recordings_with_a_common_disease_leave_the_denominator():
    labels_BC = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]]).double()
    student_BP, teacher_BP = _projections(1, 4)
    allowed = [[0, 2, 3], [1, 3], [2, 0, 3], [3, 0, 1, 2]]
    total = 0.0
    for student, teacher in ((student_BP, teacher_BP), (teacher_BP, student_BP)):
        for i, others in enumerate(allowed):
            scores = [math.exp(float(student[i] @ teacher[j]) / 0.5) for j in others]
            total += -math.log(scores[0] / sum(scores)) / 4 / 2
    assert clt_infonce(student_BP, teacher_BP, labels_BC, 0.5).item() == pytest.approx(total)


def test_a_batch_of_one_disease_costs_nothing_and_has_no_gradient():
    student_BP, teacher_BP = _projections(2)
    student_BP.requires_grad_()
    loss = clt_infonce(student_BP, teacher_BP, torch.ones(6, 1), 0.07)
    loss.backward()
    assert loss.item() == 0
    assert student_BP.grad is not None
    assert student_BP.grad.abs().max() < 1e-12


def test_first_label_looks_at_the_first_class_only():
    labels_BC = torch.tensor([[1, 0, 1], [0, 1, 1]]).float()
    axes_BP = torch.eye(2)
    assert clt_infonce(axes_BP, axes_BP, labels_BC, 1.0, "disjoint").item() == 0
    assert clt_infonce(axes_BP, axes_BP, labels_BC, 1.0, "first_label").item() > 0.3


@pytest.mark.parametrize("negatives", ["disjoint", "first_label", "any"])
def test_gradients_are_those_of_finite_differences(negatives: str):
    student_BP, teacher_BP = _projections(3)
    labels_BC = (torch.rand(6, 3, generator=torch.Generator().manual_seed(1)) < 0.4).double()
    student_BP.requires_grad_()
    teacher_BP.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s, t: clt_infonce(s, t, labels_BC, 0.3, negatives), (student_BP, teacher_BP)
    )


@pytest.mark.parametrize(
    ("rule", "answer"),
    [("disjiont", "did you mean 'disjoint'"), ("xyz", "disjoint, first_label, any")],
)
def test_an_unknown_rule_is_answered_with_the_nearest_or_with_all(rule: str, answer: str) -> None:
    with pytest.raises(ConfigError, match=f"'{rule}'.*{answer}"):
        clt_infonce(torch.eye(2), torch.eye(2), torch.eye(2), 1.0, rule)
