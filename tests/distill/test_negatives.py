"""Negatives have another disease, are distinct, are drawn evenly, and can be repeated."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from mvkt_ray.distill.negatives import (
    NEGATIVE_RULES,
    draw_negatives,
    may_be_negatives,
    negative_pools,
    primary_classes,
)
from mvkt_ray.errors import ConfigError


def _labels(seed: int, n: int, n_classes: int, share: float) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(n, n_classes, generator=generator) < share).float()


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 60),
    n_classes=st.integers(1, 6),
    share=st.floats(0, 1),
    n_negatives=st.integers(1, 80),
    rule=st.sampled_from(NEGATIVE_RULES),
)
@settings(max_examples=150)
def test_negatives_obey_the_rule_are_distinct_and_never_the_anchor(
    seed: int, n: int, n_classes: int, share: float, n_negatives: int, rule: str
):
    labels_NC = _labels(seed, n, n_classes, share)
    example_B = torch.arange(n)
    drawn_BK = draw_negatives(
        negative_pools(labels_NC, rule), example_B, n_negatives, torch.Generator().manual_seed(seed)
    )
    assert drawn_BK.shape == (n, n_negatives)
    allowed_NN = may_be_negatives(labels_NC, labels_NC, rule) & ~torch.eye(n, dtype=torch.bool)
    for anchor in range(n):
        pool = set(allowed_NN[anchor].nonzero()[:, 0].tolist())
        pool = pool or set(range(n)) - {anchor}
        counts = torch.bincount(drawn_BK[anchor], minlength=n)
        assert set(counts.nonzero()[:, 0].tolist()) <= pool
        # Distinct as far as the pool goes, and then every member as often, give or take one.
        times = counts[sorted(pool)]
        assert times.max() - times.min() <= 1


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20)
def test_no_negative_shares_a_label_under_disjoint(seed: int):
    labels_NC = _labels(seed, 200, 5, 0.2)
    drawn_BK = draw_negatives(
        negative_pools(labels_NC, "disjoint"),
        torch.arange(0, 200, 3),
        50,
        torch.Generator().manual_seed(seed),
    )
    for anchor, negatives_K in zip(range(0, 200, 3), drawn_BK, strict=True):
        if ((labels_NC @ labels_NC[anchor]) == 0).any():
            assert (labels_NC[negatives_K] @ labels_NC[anchor]).max() == 0


@pytest.mark.parametrize("rule", NEGATIVE_RULES)
def test_every_allowed_recording_is_drawn_equally_often(rule: str):
    labels_NC = _labels(0, 40, 3, 0.3)
    anchor = int(labels_NC.sum(dim=1).argmax())
    pools = negative_pools(labels_NC, rule)
    drawn_BK = draw_negatives(
        pools, torch.full((20_000,), anchor), 3, torch.Generator().manual_seed(1)
    )
    counts = torch.bincount(drawn_BK.flatten(), minlength=40)
    pool = may_be_negatives(labels_NC[[anchor]], labels_NC, rule)[0]
    pool[anchor] = False
    pool = pool if pool.any() else torch.arange(40) != anchor
    assert counts[~pool].sum() == 0
    assert chisquare(counts[pool]).pvalue > 1e-3


def test_every_pair_of_a_pool_of_prime_size_is_drawn_together_equally_often():
    pools = negative_pools(torch.ones(12, 1), "any")  # the anchor and eleven others
    drawn_BK = draw_negatives(
        pools, torch.zeros(20_000, dtype=torch.int64), 4, torch.Generator().manual_seed(2)
    )
    is_drawn_BN = torch.zeros(20_000, 12).scatter_(1, drawn_BK, 1.0)
    together_NN = is_drawn_BN.T @ is_drawn_BN
    pairs = together_NN[1:, 1:][torch.triu(torch.ones(11, 11), diagonal=1).bool()]
    # A pair is there with probability 4/11 * 3/10.
    assert pairs.mean().item() == pytest.approx(20_000 * 12 / 110, rel=0.001)
    assert (pairs.std() / pairs.mean()).item() < 0.04


def test_anchors_of_one_call_get_different_negatives():
    drawn_BK = draw_negatives(
        negative_pools(torch.ones(500, 1), "any"),
        torch.zeros(2, dtype=torch.int64),
        20,
        torch.Generator().manual_seed(0),
    )
    assert set(drawn_BK[0].tolist()) != set(drawn_BK[1].tolist())


def test_an_anchor_with_every_disease_gets_any_other_recording():
    labels_NC = torch.tensor([[1, 1], [1, 0], [0, 1]]).float()
    pools = negative_pools(labels_NC, "disjoint")
    drawn_BK = draw_negatives(pools, torch.tensor([0, 1]), 2, torch.Generator().manual_seed(0))
    assert sorted(drawn_BK[0].tolist()) == [1, 2]
    assert drawn_BK[1].tolist() == [2, 2]


def test_the_same_random_state_draws_the_same_and_advances():
    pools = negative_pools(_labels(0, 50, 3, 0.3), "disjoint")
    first, second = torch.Generator().manual_seed(4), torch.Generator().manual_seed(4)
    example_B = torch.arange(8)
    once_BK = draw_negatives(pools, example_B, 10, first)
    assert torch.equal(once_BK, draw_negatives(pools, example_B, 10, second))
    assert not torch.equal(once_BK, draw_negatives(pools, example_B, 10, first))


def test_the_primary_class_is_the_first_positive_one_or_none():
    labels_BC = torch.tensor([[0, 1, 1], [1, 0, 0], [0, 0, 0]]).float()
    assert primary_classes(labels_BC).tolist() == [1, 0, 3]


def test_a_source_that_knows_primary_classes_overrules_the_order_of_classes():
    labels_NC = torch.tensor([[1, 1], [1, 0], [1, 1]]).float()
    pools = negative_pools(labels_NC, "first_label", primary_class_N=torch.tensor([1, 0, 1]))
    drawn_BK = draw_negatives(pools, torch.arange(3), 1, torch.Generator().manual_seed(0))
    assert drawn_BK[0].item() == 1
    assert drawn_BK[2].item() == 1
    assert drawn_BK[1].item() in (0, 2)


def test_a_split_of_one_recording_has_no_negatives():
    with pytest.raises(ConfigError, match="has only 1"):
        negative_pools(torch.ones(1, 2), "any")


def test_an_unknown_rule_is_answered_with_the_rules_there_are():
    with pytest.raises(ConfigError, match=r"'all'.*disjoint, first_label, any"):
        negative_pools(torch.ones(3, 2), "all")


@pytest.mark.parametrize("rule", NEGATIVE_RULES)
def test_a_recording_without_a_known_label_may_meet_every_other_one(rule: str):
    labels_NC = _labels(3, 12, 3, 0.4)
    unknown = [2, 7]
    with_unknown_NC = labels_NC.clone()
    with_unknown_NC[unknown] = torch.nan
    allowed_NN = may_be_negatives(with_unknown_NC, with_unknown_NC, rule)
    assert allowed_NN[unknown].all()
    assert allowed_NN[:, unknown].all()
    known = [row for row in range(12) if row not in unknown]
    expected = may_be_negatives(labels_NC[known], labels_NC[known], rule)
    assert torch.equal(allowed_NN[known][:, known], expected)

    pools = negative_pools(with_unknown_NC, rule)
    drawn_BK = draw_negatives(pools, torch.arange(12), 11, torch.Generator().manual_seed(0))
    for row in unknown:
        assert set(drawn_BK[row].tolist()) == set(range(12)) - {row}
    for row in known:
        assert set(drawn_BK[row].tolist()) <= {
            other for other in range(12) if allowed_NN[row, other] and other != row
        }
