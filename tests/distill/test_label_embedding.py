"""Label-wise embeddings of L2D; over two ranks they are in test_over_ranks."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mvkt_ray.distill.losses.label_embedding import label_embedding

B, C, S, D = 8, 4, 5, 7


def _case(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(B, S), (C, S), (B, D), (C, D)]
    student_BS, student_CS, teacher_BD, teacher_CD = (
        torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes
    )
    positive_BC = torch.rand(B, C, generator=generator) < 0.5
    return student_BS, student_CS, teacher_BD, teacher_CD, positive_BC


def _huber(error: float) -> float:
    return 0.5 * error**2 if abs(error) <= 1 else abs(error) - 0.5


def _mean_huber(student: list[float], teacher: list[float]) -> float:
    mean_s, mean_t = np.mean(student), np.mean(teacher)
    pairs = zip(student, teacher, strict=True)
    return float(np.mean([_huber(float(s / mean_s - t / mean_t)) for s, t in pairs]))


def _by_loops(case: tuple[Tensor, ...]) -> float:
    """The formula of the docstring, one distance at a time."""
    f_s, w_s, f_t, w_t, positive = (tensor.numpy() for tensor in case)
    per_class: list[float] = []
    for k in range(C):
        pairs = list(itertools.permutations(np.flatnonzero(positive[:, k]), 2))
        distances = [
            [float(np.linalg.norm(w[k] * f[i] - w[k] * f[j])) for i, j in pairs]
            for f, w in ((f_s, w_s), (f_t, w_t))
        ]
        if pairs:
            per_class.append(_mean_huber(*distances))
    chosen = [
        (i, k, m)
        for i in range(B)
        for k, m in itertools.combinations(np.flatnonzero(positive[i]), 2)
    ]
    distances = [
        [float(np.linalg.norm(w[k] * f[i] - w[m] * f[i])) for i, k, m in chosen]
        for f, w in ((f_s, w_s), (f_t, w_t))
    ]
    return float(np.mean(per_class)) + (_mean_huber(*distances) if chosen else 0.0)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_it_is_the_formula_one_distance_at_a_time(seed: int) -> None:
    case = _case(seed)
    assert label_embedding(*case).item() == pytest.approx(_by_loops(case))


def test_three_recordings_of_one_class_by_hand() -> None:
    # On a line at 0, 1, 2 (distances 1, 1, 2) and at 0, 1, 6 (1, 5, 6); their means 4/3 and 4.
    student_BS, teacher_BD = torch.tensor([[0.0], [1], [2]]), torch.tensor([[0.0], [1], [6]])
    errors = [3 / 4 - 1 / 4, 3 / 4 - 5 / 4, 6 / 4 - 6 / 4]
    loss = label_embedding(
        student_BS, torch.ones(1, 1), teacher_BD, torch.ones(1, 1), torch.ones(3, 1).bool()
    )
    assert loss.item() == pytest.approx(sum(0.5 * e**2 for e in errors) / 3, rel=1e-5)


def test_two_diseases_of_two_recordings_by_hand() -> None:
    # Rows 1 and 3 of the classifiers: distances are 2 |f|, of student 2 and 2, of teacher 2 and 6.
    classifier = torch.tensor([[1.0], [3.0]])
    loss = label_embedding(
        torch.tensor([[1.0], [1.0]]),
        classifier,
        torch.tensor([[1.0], [3.0]]),
        classifier,
        torch.ones(2, 2).bool(),
    )
    # Within a class there is one pair each, whose distance is its own mean.
    assert loss.item() == pytest.approx(0.5 * 0.5**2, rel=1e-5)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 20))
def test_a_student_of_the_same_distances_at_another_scale_costs_nothing(
    seed: int, scale: float
) -> None:
    _, _, teacher_BD, teacher_CD, positive_BC = _case(seed)
    # Twice the dimensions, in another order: distances are the same up to a factor.
    order_D = torch.randperm(D, generator=torch.Generator().manual_seed(seed))
    student_BS = scale * torch.cat([teacher_BD, teacher_BD], dim=1)[:, torch.cat([order_D] * 2)]
    student_CS = torch.cat([teacher_CD, teacher_CD], dim=1)[:, torch.cat([order_D] * 2)]
    loss = label_embedding(student_BS, student_CS, teacher_BD, teacher_CD, positive_BC)
    assert loss.item() == pytest.approx(0, abs=1e-12)


def test_who_has_no_disease_makes_no_difference() -> None:
    student_BS, student_CS, teacher_BD, teacher_CD, positive_BC = _case(3)
    expected = label_embedding(student_BS, student_CS, teacher_BD, teacher_CD, positive_BC)
    loss = label_embedding(
        torch.cat([student_BS, 9 * student_BS]),
        student_CS,
        torch.cat([teacher_BD, -teacher_BD]),
        teacher_CD,
        torch.cat([positive_BC, torch.zeros(B, C).bool()]),
    )
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("positive_BC", [torch.zeros(B, C).bool(), torch.eye(B, C).bool()])
def test_without_pairs_it_is_zero_without_a_gradient(positive_BC: Tensor) -> None:
    student_BS, student_CS, teacher_BD, teacher_CD, _ = _case(0)
    student_BS.requires_grad_()
    loss = label_embedding(student_BS, student_CS, teacher_BD, teacher_CD, positive_BC)
    loss.backward()
    assert loss.item() == 0
    assert student_BS.grad is not None
    assert student_BS.grad.abs().max() == 0


@pytest.mark.parametrize("what", ["equal", "zero", "one twice"])
def test_equal_embeddings_have_finite_gradients(what: str) -> None:
    student_BS, student_CS, teacher_BD, teacher_CD, positive_BC = (
        tensor.float() if tensor.is_floating_point() else tensor for tensor in _case(0)
    )
    if what == "one twice":
        student_BS[1] = student_BS[0]
        teacher_BD[1] = teacher_BD[0]
    else:
        student_BS = torch.full((B, S), 0.0 if what == "zero" else 1.5)
    student_BS.requires_grad_()
    student_CS.requires_grad_()
    label_embedding(student_BS, student_CS, teacher_BD, teacher_CD, positive_BC).backward()
    for tensor in (student_BS, student_CS):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().max() < 100


def test_gradients_are_those_of_finite_differences() -> None:
    student_BS, student_CS, *others = _case(5)
    assert torch.autograd.gradcheck(
        lambda student_BS, student_CS: label_embedding(student_BS, student_CS, *others),
        (student_BS.requires_grad_(), student_CS.requires_grad_()),
    )


def test_the_teacher_has_no_gradient() -> None:
    student_BS, student_CS, teacher_BD, teacher_CD, positive_BC = _case(6)
    for tensor in (student_BS, teacher_BD, teacher_CD):
        tensor.requires_grad_()
    label_embedding(student_BS, student_CS, teacher_BD, teacher_CD, positive_BC).backward()
    assert student_BS.grad is not None
    assert teacher_BD.grad is None
    assert teacher_CD.grad is None
