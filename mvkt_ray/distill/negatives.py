"""Negatives for CLT: recordings that count as having another disease, and how to draw them.

The contrastive losses push a student away from recordings that do not show the same disease. For
recordings with several diseases there are different rules:

- `disjoint`: the label sets are disjoint (the default, the set-valued reading of the paper);
- `first_label`: the primary classes differ (the authors' code for labels that are lists, as those
  of CPSC2018);
- `any`: every other recording (plain CRD, independent of diseases);
- `authors`: the effect of the authors' code on the multi-hot labels of PTB-XL, which uses the 0/1
  flag of the first class as the number of the primary class: recordings with the first class (CD
  of the superdiagnostic task) are negatives of all recordings without it, and no others. It looks
  like an oversight, and is here to reproduce their numbers.

Labels of PTB-XL have no order: the primary class is the first positive one in the order of the
task's classes unless the caller gives one. A recording without any class of the task is disjoint
with all others under `disjoint`; under `first_label` such recordings share one primary class.

An unlabelled recording (a row of NaN) follows `any` under all rules: every other recording may be
its negative, and it may be every other recording's. The teacher's predictions are not used: the
knowledge has them by crop, and the pools are of recordings.

Shapes: A and B anchors, N training recordings, C classes, K negatives, G groups of equal labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean

NEGATIVE_RULES = ("disjoint", "first_label", "any", "authors")

_STRIDES = 32
"""Candidates for a walk's stride; at least one number in six below any M < 10^6 is coprime to M."""


def may_be_negatives(anchor_labels_AC: Tensor, labels_BC: Tensor, rule: str) -> Tensor:
    """Return whether B may be a negative of A, by their labels alone.

    Under `any` this includes the recording itself; the caller must exclude equal recordings.

    Args:
        anchor_labels_AC: Multi-hot labels of the anchors; a row of NaN if unlabelled.
        labels_BC: Likewise of the others.
        rule: One of `NEGATIVE_RULES`.

    Returns:
        Bool `[A, B]`.

    Raises:
        ConfigError: The rule is unknown.
    """
    unknown_AB = anchor_labels_AC[:, :1].isnan() | labels_BC[:, 0].isnan()
    if rule == "disjoint":
        return unknown_AB | (anchor_labels_AC.nan_to_num() @ labels_BC.nan_to_num().T == 0)
    if rule == "first_label":
        anchor_A, other_B = primary_classes(anchor_labels_AC), primary_classes(labels_BC)
        return unknown_AB | (anchor_A[:, None] != other_B)
    if rule == "authors":
        return unknown_AB | ((anchor_labels_AC[:, :1] > 0) != (labels_BC[:, 0] > 0))
    if rule == "any":
        return torch.ones_like(unknown_AB)
    raise _unknown(rule)


def primary_classes(labels_BC: Tensor) -> Tensor:
    """Return int64 `[B]`: the first positive class; C where there is none, or none is known."""
    n_classes = labels_BC.shape[1]
    positions_C = torch.arange(n_classes, device=labels_BC.device)
    return torch.where(labels_BC > 0, positions_C, n_classes).amin(dim=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class NegativePools:
    """The training recordings in groups of equal labels, and which groups may meet.

    Pools are never listed: with thousands of label sets that would be thousands of times N.
    """

    group: Tensor
    """[N]: group of each recording."""
    position: Tensor
    """[N]: position of each recording within its group."""
    by_group: Tensor
    """[N]: the recordings, group after group."""
    start: Tensor
    """[G]: where each group starts in `by_group`."""
    size: Tensor
    """[G]: recordings in each group."""
    allowed: Tensor
    """[G, G]: whether a recording of the second group may be a negative of one of the first."""


def negative_pools(
    labels_NC: Tensor, rule: str, *, primary_class_N: Tensor | None = None
) -> NegativePools:
    """Group the training recordings once, so that each draw is cheap.

    Args:
        labels_NC: multi-hot labels of the training recordings; rows of NaN are not known.
        rule: one of `NEGATIVE_RULES`.
        primary_class_N: for `first_label`, where the source knows a primary class.

    Raises:
        ConfigError: the rule is unknown, or there are fewer than two recordings.
    """
    if len(labels_NC) < 2:
        raise ConfigError(
            "CLT takes negatives from other recordings, but the training split has only "
            f"{len(labels_NC)}. Give the split at least 2, or set clt_weight to 0."
        )
    # Label sets repeat: whether two recordings may meet is decided once for each pair of groups.
    group_N, allowed_GG = _groups(labels_NC.detach().cpu(), rule, primary_class_N)
    size_G = torch.bincount(group_N, minlength=len(allowed_GG))
    start_G = size_G.cumsum(0) - size_G
    # Stable, so that the draws follow from the data and the seed on every machine.
    by_group_N = torch.argsort(group_N, stable=True)
    position_N = torch.empty_like(by_group_N)
    position_N[by_group_N] = torch.arange(len(group_N)) - start_G[group_N[by_group_N]]
    return NegativePools(
        group=group_N,
        position=position_N,
        by_group=by_group_N,
        start=start_G,
        size=size_G,
        # An anchor for which nothing is allowed falls back to any other recording.
        allowed=allowed_GG | ~allowed_GG.any(dim=1, keepdim=True),
    )


def draw_negatives(
    pools: NegativePools, example_B: Tensor, n_negatives: int, generator: torch.Generator
) -> Tensor:
    """Draw negatives_BK, for each anchor on its own from all that the rule allows.

    The K negatives are distinct, and every allowed recording is equally likely: an anchor walks
    its pool of M in steps of a random length that has no common factor with M, from a random
    start. This is the pairwise independent sample of hashing, so a sum over the negatives has the
    variance of an ordinary draw without replacement, but it costs K per anchor and not M. A pool
    of fewer than K is walked through again: no member then comes up more than one time more
    often than another.

    An anchor for which nothing is allowed (its diseases are in every recording) gets any other
    recordings instead. The anchor itself is never drawn.

    Args:
        pools: what `negative_pools` returned.
        example_B: row of each anchor in the training split, int64.
        n_negatives: K.
        generator: on the CPU; where there are ranks, all must hold the same state.

    Returns:
        Rows of the training split, int64, on the CPU.
    """
    example_B = example_B.cpu()
    group_B = pools.group[example_B]
    # An anchor's pool is its allowed groups, one after the other, as numbers 0 to M - 1: group g
    # has those from end - size to end. Nothing of length M is ever made.
    size_BG = pools.allowed[group_B] * pools.size
    end_BG = size_BG.cumsum(dim=1)

    # The anchor's own position in its pool, beyond the end where it is not a member: stepped over.
    is_member_B = pools.allowed[group_B, group_B]
    own_B = (end_BG - size_BG).gather(1, group_B[:, None])[:, 0] + pools.position[example_B]
    own_B = own_B.where(is_member_B, end_BG[:, -1])
    # Drawn from one number less, then moved past the anchor: uniform over the others.
    turn_BK = _walks(end_BG[:, -1] - is_member_B.long(), n_negatives, generator)
    turn_BK = turn_BK + (turn_BK >= own_B[:, None])

    # From a number back to its group, the first that ends behind it, and to the place in there.
    chosen_BK = torch.searchsorted(end_BG, turn_BK, right=True)
    before_BK = (end_BG - size_BG).gather(1, chosen_BK)
    return pools.by_group[pools.start[chosen_BK] + turn_BK - before_BK]


def _groups(labels_NC: Tensor, rule: str, primary_class_N: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return each recording's group, and which groups may meet; the last is of unknown labels."""
    unknown_N = labels_NC[:, 0].isnan()
    if not unknown_N.any():
        # No group more, so that fully labelled trainings draw the same numbers as ever.
        return _known_groups(labels_NC, rule, primary_class_N)
    group_N, known_GG = _known_groups(labels_NC.nan_to_num(), rule, primary_class_N)
    n_groups = len(known_GG) + 1
    allowed_GG = torch.ones(n_groups, n_groups, dtype=torch.bool)
    allowed_GG[:-1, :-1] = known_GG
    return group_N.masked_fill(unknown_N, n_groups - 1), allowed_GG


def _known_groups(
    labels_NC: Tensor, rule: str, primary_class_N: Tensor | None
) -> tuple[Tensor, Tensor]:
    if rule == "any":
        return torch.zeros(len(labels_NC), dtype=torch.int64), torch.ones(1, 1, dtype=torch.bool)
    if rule == "disjoint":
        sets_GC, group_N = torch.unique(labels_NC, dim=0, return_inverse=True)
        return group_N, may_be_negatives(sets_GC, sets_GC, rule)
    if rule == "authors":
        primary_class_N = (labels_NC[:, 0] > 0).long()
    if rule in ("first_label", "authors"):
        primary_N = primary_classes(labels_NC) if primary_class_N is None else primary_class_N.cpu()
        classes_G, group_N = torch.unique(primary_N, return_inverse=True)
        return group_N, ~torch.eye(len(classes_G), dtype=torch.bool)
    raise _unknown(rule)


def _walks(size_B: Tensor, n_steps: int, generator: torch.Generator) -> Tensor:
    """Return K distinct numbers below each size (as far as there are K), in random walks."""
    # float64: float32 has 24 bits, and could not reach every row of more than 16 million.
    uniform_BJ = torch.rand(len(size_B), 1 + _STRIDES, generator=generator, dtype=torch.float64)
    drawn_BJ = (uniform_BJ * size_B[:, None]).long()
    start_B, stride_BJ = drawn_BJ[:, 0], drawn_BJ[:, 1:]
    # Steps without a common factor with the size come back to the start only after all numbers.
    is_coprime_BJ = torch.gcd(stride_BJ, size_B[:, None]) == 1
    first_B1 = is_coprime_BJ.long().argmax(dim=1, keepdim=True)
    # A stride of 1 where none of them serves: a size of 1, or bad luck.
    stride_B = stride_BJ.gather(1, first_B1)[:, 0].where(is_coprime_BJ.any(dim=1), 1)
    return (start_B[:, None] + torch.arange(n_steps) * stride_B[:, None]) % size_B[:, None]


def _unknown(rule: str) -> ConfigError:
    return ConfigError(
        f"negatives is {rule!r}, which is not a known rule; {did_you_mean(rule, NEGATIVE_RULES)}"
    )
