"""Scores as a function of the number of labels, and the labels that a score saves.

A budget has several draws of the labels, each with several seeds. Draws are treated as seeds are in
`seed_noise`: patients are resampled for the mean over all draws, and the effect of other draws is
added as normal deviates, common to all contenders for the effects of a shared draw. With a single
draw the seeds take the place of draws.

Shapes: D draws, R seeds, U units (draws, or the seeds of one), K contenders, B resamples,
N recordings, C classes, M budgets.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mvkt_ray.slots import own_cores
from mvkt_ray.statistics.resampling import MOST_THREADS, PatientResamples, check_scores
from mvkt_ray.statistics.scores import auroc_per_class, mean_of_defined
from mvkt_ray.statistics.seed_noise import noise_of_new_seeds, private_variance
from mvkt_ray.statistics.tails import normal_deviate, t_deviate
from mvkt_ray.statistics.weighted_auroc import weight_chunks, weighted_auroc

_NOISE_STREAM = 2
"""Stream of the draws; patients have 0 and seeds 1, in `resampling`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetScores:
    """Macro AUROC of contenders at one budget."""

    observed_K: NDArray[np.float64]
    """Mean over seeds, then over draws, on the original recordings."""
    units_KU: NDArray[np.float64]
    """Score of each draw; with a single draw, of each seed."""
    values_BK: NDArray[np.float64]
    """Scores under each resample of patients, with the effect of other draws."""

    def widened(self, level: float) -> NDArray[np.float64]:
        """Return `values_BK`, spread around their means for valid percentiles from few draws.

        The variance between few draws is poorly estimated, so an interval needs a Student t, with
        Satterthwaite's (1946) degrees of freedom and the patients' part taken as known. The values
        are spread by the ratio of its deviate to the normal one.

        Args:
            level: Level of the intervals.

        Returns:
            float64 `[B, K]`.
        """
        values_BK = self.values_BK
        n_units = self.units_KU.shape[1]
        of_units = self.units_KU.var(axis=1, ddof=1).mean() / n_units if n_units > 1 else 0.0
        if of_units <= 0:
            return values_BK
        variance_K = np.nanvar(values_BK, axis=0)
        freedom_K = (n_units - 1) * np.maximum(variance_K / of_units, 1.0) ** 2
        tail = (1 - level) / 2
        wider_K = t_deviate(tail, freedom_K) / normal_deviate(tail)
        mean_K = np.nanmean(values_BK, axis=0)
        return mean_K + (values_BK - mean_K) * wider_K


def score_budget(
    labels_NC: NDArray[Any],
    draws: Sequence[Sequence[NDArray[Any]]],
    resamples: PatientResamples,
    stream: int,
) -> BudgetScores:
    """Score contenders at one budget under every resample of patients.

    Args:
        labels_NC: 1 where a recording has the class, else 0.
        draws: By draw and contender, `[R, N, C]`: the probabilities of its seeds. All draws have
            the same contenders; contenders of a draw may have different numbers of seeds.
        resamples: Resamples of the patients of these recordings, the same for all budgets.
        stream: Number of the budget: budgets have different random numbers.

    Raises:
        DataError: Shapes do not fit, or a score is NaN.
    """
    positive_NC = np.asarray(labels_NC) > 0.5
    chunks = weight_chunks(resamples.weights_BN)

    def score(scores_NC: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        check_scores(positive_NC, scores_NC, resamples)
        areas_BC = np.stack(
            [
                weighted_auroc(positive_NC[:, c], scores_NC[:, c], chunks)
                for c in range(positive_NC.shape[1])
            ],
            axis=1,
        )
        observed = mean_of_defined(auroc_per_class(positive_NC, scores_NC))
        return float(observed), mean_of_defined(areas_BC)

    with ThreadPoolExecutor(min(own_cores(), MOST_THREADS)) as pool:
        # `map` submits all work at once. From here on the order is contenders, draws, seeds.
        begun = [
            [pool.map(score, seeds) for seeds in of_draws] for of_draws in zip(*draws, strict=True)
        ]
        units = [_units([list(seeds) for seeds in of_draws]) for of_draws in begun]
    observed_KU = np.stack([observed_U for observed_U, _ in units])
    areas_KBU = np.stack([areas_BU for _, areas_BU in units])
    return BudgetScores(
        observed_K=observed_KU.mean(axis=1),
        units_KU=observed_KU,
        values_BK=areas_KBU.mean(axis=2).T
        + _noise_of_new_units(observed_KU, areas_KBU, [resamples.seed, _NOISE_STREAM, stream]),
    )


def _noise_of_new_units(
    observed_KU: NDArray[np.float64], areas_KBU: NDArray[np.float64], seed: list[int]
) -> NDArray[np.float64]:
    """Return the deviation by other draws from the mean over draws in each resample, `[B, K]`."""
    n_contenders, n_resamples, _ = areas_KBU.shape
    rng = np.random.default_rng(seed)
    normal_B = rng.standard_normal(n_resamples)
    normal_BK = rng.standard_normal((n_contenders, n_resamples)).T
    # A macro mean is one class to `seed_noise`.
    private_K1 = np.array([private_variance(areas_BU[:, :, None]) for areas_BU in areas_KBU])
    noise_BK1 = noise_of_new_seeds(observed_KU[:, :, None], private_K1, normal_BK, normal_B)
    return noise_BK1[:, :, 0]


_Scored = tuple[float, NDArray[np.float64]]


def _units(draws: Sequence[Sequence[_Scored]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return `[U]` and `[B, U]`: means over the seeds of each draw; of a single draw, its seeds."""
    if len(draws) == 1:
        observed, areas = zip(*draws[0], strict=True)
        return np.array(observed), np.stack(areas, axis=1)
    means = [
        (np.mean([observed for observed, _ in seeds]), np.mean([area for _, area in seeds], axis=0))
        for seeds in draws
    ]
    observed, areas = zip(*means, strict=True)
    return np.array(observed), np.stack(areas, axis=1)


def equal_labels(
    n_labels_M: ArrayLike, reference_M: ArrayLike, score: float | NDArray[Any]
) -> NDArray[np.float64]:
    """Return the number of labels at which the reference's curve reaches a score.

    The curve is made monotone first (more labels are not worse; pooled adjacent violators, Barlow
    et al. 1972), and is interpolated linearly over the logarithm of the number of labels.

    Args:
        n_labels_M: Number of labels of each budget, ascending.
        reference_M: Scores of the reference; or `[B, M]`, one curve for each score.
        score: A score, or `[B]`.

    Returns:
        Shape of `score`: infinite above the whole curve, 0 below it.
    """
    reference_BM = np.atleast_2d(np.asarray(reference_M, dtype=np.float64))
    score_B = np.broadcast_to(np.asarray(score, dtype=np.float64), len(reference_BM))
    # Over logarithms: each doubling of the labels improves a score by about the same.
    place_M = np.log(np.asarray(n_labels_M, dtype=np.float64))
    found_B = np.empty(len(score_B))
    for row, (reference, wanted) in enumerate(zip(reference_BM, score_B, strict=True)):
        curve = monotone(reference)
        if wanted > curve[-1]:
            found_B[row] = np.inf
        elif wanted < curve[0]:
            found_B[row] = 0.0
        else:
            found_B[row] = np.exp(_first_place(place_M, curve, wanted))
    return found_B if np.ndim(score) or np.ndim(reference_M) > 1 else found_B[0]


def _first_place(
    place_M: NDArray[np.float64], curve_M: NDArray[np.float64], wanted: float
) -> float:
    """Return the smallest abscissa at which a non-decreasing curve has a value."""
    at = int(np.searchsorted(curve_M, wanted, side="left"))
    if at == 0 or curve_M[at] == wanted:
        return float(place_M[at])
    share = (wanted - curve_M[at - 1]) / (curve_M[at] - curve_M[at - 1])
    return float(place_M[at - 1] + share * (place_M[at] - place_M[at - 1]))


def monotone(values_M: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `[M]`: the isotonic regression, the nearest non-decreasing values by least squares.

    By pooled adjacent violators: decreasing values are replaced by their mean. Not scipy's
    `isotonic_regression`, which may change the last bit of a value that is compared for equality.
    """
    blocks: list[tuple[float, int]] = []
    for value in values_M:
        mean, size = float(value), 1
        while blocks and blocks[-1][0] > mean:
            before, n = blocks.pop()
            mean, size = (before * n + mean * size) / (n + size), n + size
        blocks.append((mean, size))
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def quantiles_with_infinity(values_B: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Return the ends of the central interval of probability `level`; values may be infinite."""
    low, high = np.quantile(values_B, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)
