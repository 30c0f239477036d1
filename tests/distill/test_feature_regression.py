"""The regression of embeddings; over two ranks it is in test_over_ranks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mvkt_ray.distill.losses.feature_regression import FeatureRegression, feature_regression

B, S, D = 12, 5, 7


def _embeddings(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mapped_BD, teacher_BD = torch.randn(2, B, D, generator=generator, dtype=torch.float64)
    return mapped_BD, teacher_BD.relu()


@settings(max_examples=30)
@given(seed=st.integers(0, 1000))
def test_it_is_the_mean_squared_error_of_standardised_embeddings(seed: int) -> None:
    mapped_BD, teacher_BD = _embeddings(seed)
    total = 0.0
    for d in range(D):
        s, t = mapped_BD[:, d].numpy(), teacher_BD[:, d].numpy()
        if t.std() == 0:
            continue  # costs nothing
        s, t = (s - s.mean()) / s.std(), (t - t.mean()) / t.std()
        total += float(np.square(s - t).sum())
    loss = feature_regression(mapped_BD, teacher_BD)
    assert loss.item() == pytest.approx(total / B / D)


def test_two_dimensions_by_hand() -> None:
    # The first is the teacher's in another unit, the second its opposite: errors 0 and 2 squared.
    teacher_BD = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    mapped_BD = torch.tensor([[5.0, 1.0], [9.0, 0.0]])
    assert feature_regression(mapped_BD, teacher_BD).item() == pytest.approx((0 + 4) / 2)


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 50), shift=st.floats(-5, 5))
def test_the_unit_of_a_channel_makes_no_difference(seed: int, scale: float, shift: float) -> None:
    mapped_BD, teacher_BD = _embeddings(seed)
    teacher_BD = teacher_BD + torch.randn(B, D, generator=torch.Generator().manual_seed(seed))
    expected = feature_regression(mapped_BD, teacher_BD)
    unit_D = scale * torch.arange(1, D + 1)
    torch.testing.assert_close(
        feature_regression(mapped_BD * unit_D + shift, teacher_BD * unit_D.flip(0) - shift),
        expected,
    )


def test_a_channel_that_is_dead_in_the_teacher_costs_nothing() -> None:
    mapped_BD, teacher_BD = _embeddings(0)
    expected = feature_regression(mapped_BD[:, 1:], teacher_BD[:, 1:]).item() * (D - 1) / D
    teacher_BD[:, 0] = 0
    mapped_BD.requires_grad_()
    loss = feature_regression(mapped_BD, teacher_BD)
    loss.backward()
    assert loss.item() == pytest.approx(expected)
    assert mapped_BD.grad is not None
    assert torch.equal(mapped_BD.grad[:, 0], torch.zeros(B).double())


def test_a_student_without_any_feature_has_a_finite_gradient() -> None:
    _, teacher_BD = _embeddings(1)
    mapped_BD = torch.zeros(B, D, requires_grad=True)
    feature_regression(mapped_BD, teacher_BD.float()).backward()
    assert mapped_BD.grad is not None
    assert mapped_BD.grad.isfinite().all()


def test_gradients_are_those_of_finite_differences() -> None:
    mapped_BD, teacher_BD = _embeddings(2)
    assert torch.autograd.gradcheck(
        lambda mapped_BD: feature_regression(mapped_BD, teacher_BD),
        (mapped_BD.requires_grad_(),),
    )


def test_the_map_is_learned_where_the_teacher_is_linear_in_the_student() -> None:
    generator = torch.Generator().manual_seed(3)
    term = FeatureRegression(S, D, generator=generator)
    student_BS = torch.randn(B, S, generator=generator)
    teacher_BD = student_BS @ torch.randn(S, D, generator=generator) + 4
    optimizer = torch.optim.Adam(term.parameters(), lr=0.05)
    losses = []
    for _ in range(300):
        loss = term(student_BS, teacher_BD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 0.5
    assert losses[-1] < 1e-3


def test_the_map_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    FeatureRegression(S, D, generator=torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
