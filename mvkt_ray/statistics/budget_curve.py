"""Scores against the number of labels: over patients and draws, and how many labels one replaces.

What is known of one budget is several draws of the labels, each with several seeds. Draws are read
as seeds are in `seed_noise`: patients are drawn for the mean over all draws, and what other draws
would have changed is added as normal deviates, the same for all contenders where they share a draw.
Of one draw alone the seeds take their place.

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
"""Makes other random numbers than patients (0) and seeds (1) have, in `resampling`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetScores:
    """Macro AUROC of contenders at one budget."""

    observed_K: NDArray[np.float64]
    """Mean over seeds, then over draws, on the recordings as they are."""
    units_KU: NDArray[np.float64]
    """The same of each draw; of one draw alone, of each seed."""
    values_BK: NDArray[np.float64]
    """Under each resample of patients, with what other draws would add to it."""

    def widened(self, level: float) -> NDArray[np.float64]:
        """Return `values_BK` further from their means, so that percentiles hold for few draws.

        Few draws tell their spread badly, so an interval of a score is one of a Student t: its
        degrees of freedom are Satterthwaite's (1946), with the patients' part taken as known, and
        the values are spread by its deviate over the normal one.

        Args:
            level: of the intervals that are made of them.
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
        draws: of each draw, of each contender `[R, N, C]`: what its seeds said. Contenders of one
            draw may have different numbers of seeds, draws the same contenders.
        resamples: of the patients of these recordings, the same for all budgets.
        stream: number of the budget: its draws are others than those of another one.

    Raises:
        DataError: shapes do not fit, or a score is NaN.
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
        # `map` begins all work at once; contenders come first from here on, then draws, then seeds.
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
    """Return what other draws would add to the mean over draws in each resample, `[B, K]`."""
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
    """Return `[U]` and `[B, U]`: of each draw the mean over its seeds, or of one draw its seeds."""
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
    """Return with how many labels the reference scores as much: on its curve, between budgets.

    The curve is made monotone first (more labels are not worse; pooled adjacent violators, Barlow
    et al. 1972), and is straight between its points over the logarithm of the labels.

    Args:
        n_labels_M: labels of each budget, ascending.
        reference_M: scores of the reference; or `[B, M]`, one curve for each score.
        score: what is looked for; one, or `[B]`.

    Returns:
        As `score`: infinite where the reference does not come so far, 0 where it starts above.
    """
    reference_BM = np.atleast_2d(np.asarray(reference_M, dtype=np.float64))
    score_B = np.broadcast_to(np.asarray(score, dtype=np.float64), len(reference_BM))
    # Over logarithms, as a score gains about as much by each doubling of the labels.
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
    """Return the least place at which a curve that never falls has a value."""
    at = int(np.searchsorted(curve_M, wanted, side="left"))
    if at == 0 or curve_M[at] == wanted:
        return float(place_M[at])
    share = (wanted - curve_M[at - 1]) / (curve_M[at] - curve_M[at - 1])
    return float(place_M[at - 1] + share * (place_M[at] - place_M[at - 1]))


def monotone(values_M: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nearest values `[M]`, by least squares, that never fall (isotonic regression).

    By pooled adjacent violators: values that fall are replaced by their mean, with those before
    them if these are higher.
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
    """Return the ends of the middle `level` of values of which some may be infinite."""
    low, high = np.quantile(values_B, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(low), float(high)
