"""Mixtures of pairs; over two ranks they are in test_two_ranks of training."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mvkt_ray.distill.mixup import Mixture, mixed_logits

LOGITS = st.floats(-30, 30)


def _mixture(share: float, partner: list[int]) -> Mixture:
    return Mixture(share=share, partner_J=torch.tensor(partner), rows=[len(partner)])


def test_a_batch_of_three_by_hand() -> None:
    mixture = _mixture(0.75, [1, 2, 0])
    signal_BLS = torch.tensor([0.0, 4.0, 8.0]).view(3, 1, 1)
    assert mixture.of(signal_BLS).flatten().tolist() == [1.0, 5.0, 6.0]
    labels_BC = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    assert mixture.of(labels_BC).tolist() == [[1.0, 0.25], [0.75, 0.75], [0.25, 0.0]]


@settings(max_examples=100)
@given(own=LOGITS, other=LOGITS, share=st.floats(0, 1))
def test_probabilities_are_mixed_not_logits(own: float, other: float, share: float) -> None:
    expected = share / (1 + math.exp(-own)) + (1 - share) / (1 + math.exp(-other))
    own_BC, other_BC = torch.tensor([[[own]], [[other]]], dtype=torch.float64)
    logit = mixed_logits(own_BC, other_BC, share)
    assert torch.sigmoid(logit).item() == pytest.approx(expected, rel=1e-9)
    # The chance of the other outcome as well, which a sigmoid near 1 would have rounded away.
    rest = share / (1 + math.exp(own)) + (1 - share) / (1 + math.exp(other))
    assert torch.sigmoid(-logit).item() == pytest.approx(rest, rel=1e-9)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_is_mixed_at_the_ends(share: float) -> None:
    own, other = torch.tensor([[-80.0, 0.5, 90.0]]), torch.tensor([[70.0, -0.5, -99.0]])
    torch.testing.assert_close(mixed_logits(own, other, share), own if share == 1 else other)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), n=st.integers(1, 30))
def test_everybody_is_a_partner_once_so_that_sums_are_kept(seed: int, n: int) -> None:
    mixture = Mixture.draw(np.random.default_rng(seed), 0.4, torch.ones(n).bool(), [n])
    assert 0 <= mixture.share <= 1
    assert sorted(mixture.partner_J.tolist()) == list(range(n))
    values_BX = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(mixture.of(values_BX).sum(dim=0), values_BX.sum(dim=0))


def test_shares_are_drawn_from_the_beta_distribution() -> None:
    generator = np.random.default_rng(0)
    shares = [Mixture.draw(generator, 0.3, torch.ones(2).bool(), [2]).share for _ in range(2000)]
    assert stats.kstest(shares, stats.beta(0.3, 0.3).cdf).pvalue > 0.01


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), known=st.lists(st.booleans(), min_size=1, max_size=20))
def test_whose_label_is_known_has_such_a_partner(seed: int, known: list[bool]) -> None:
    known_B = torch.tensor(known)
    mixture = Mixture.draw(np.random.default_rng(seed), 0.4, known_B, [len(known)])
    assert sorted(mixture.partner_J.tolist()) == list(range(len(known)))
    assert torch.equal(known_B[mixture.partner_J], known_B)
    labels_BC = torch.where(known_B[:, None], 1.0, torch.nan).expand(-1, 2)
    assert torch.equal(~mixture.of(labels_BC)[:, 0].isnan(), known_B)


def test_every_partner_is_as_likely_as_any_other() -> None:
    generator, known_B = np.random.default_rng(0), torch.tensor([True, False, True, False, True])
    drawn = [Mixture.draw(generator, 0.4, known_B, [5]).partner_J for _ in range(1500)]
    for row, expected in ((0, [0, 2, 4]), (3, [1, 3])):
        found = np.bincount([int(partner_J[row]) for partner_J in drawn], minlength=5)
        assert found.sum() == found[expected].sum()
        assert stats.chisquare(found[expected]).pvalue > 0.01
