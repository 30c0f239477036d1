"""Columns of mean 0 and variance 1; over two ranks it is in test_over_ranks."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mvkt_ray.distill.standardised import standardised


@settings(max_examples=30)
@given(
    seed=st.integers(0, 100),
    n_rows=st.integers(2, 40),
    scale=st.floats(0.05, 100),
    shift=st.floats(-10, 10),
)
def test_it_is_scipys_z_score(seed: int, n_rows: int, scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    raw_BX = torch.randn(n_rows, 3, generator=generator, dtype=torch.float64)
    raw_BX[:2] = torch.tensor([[1.0], [-1.0]])  # no column is constant, however few rows
    values_BX = scale * raw_BX + shift
    expected_BX = torch.from_numpy(stats.zscore(values_BX.numpy(), axis=0))
    torch.testing.assert_close(standardised(values_BX, [n_rows]), expected_BX)


def test_a_constant_column_is_zero_with_a_small_gradient() -> None:
    values_BX = torch.full((8, 2), 0.3)
    values_BX[:, 1] = torch.arange(8)
    values_BX.requires_grad_()
    result_BX = standardised(values_BX, [8])
    (result_BX * torch.arange(8.0)[:, None]).sum().backward()
    assert torch.equal(result_BX[:, 0], torch.zeros(8))
    assert values_BX.grad is not None
    assert values_BX.grad.isfinite().all()


def test_one_row_is_zero() -> None:
    assert torch.equal(standardised(torch.ones(1, 3), [1]), torch.zeros(1, 3))
