"""The short form of `benchmarks/calibration.py`, and constructions that must not pass it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated_scores import (  # pyright: ignore[reportMissingImports]
    SimulatedSplit,
    draw_split,
)
from simulated_search import (  # pyright: ignore[reportMissingImports]
    HEIGHTS,
    World,
    race_alone,
)

from mvkt_ray.statistics.best_set import best_set
from mvkt_ray.statistics.gains import paired_differences
from mvkt_ray.statistics.intervals import bca_interval, percentile_interval
from mvkt_ray.statistics.resampling import AurocResamples, bootstrap_auroc, draw_patients
from mvkt_ray.statistics.scores import auroc_per_class
from mvkt_ray.statistics.selection import corrected_best

N_RECORDINGS, N_RESAMPLES = 200, 200


def areas_of(split: SimulatedSplit, seed: int) -> AurocResamples:
    resamples = draw_patients(split.patient_N, N_RESAMPLES, seed=seed)
    return bootstrap_auroc(split.labels_NC, split.scores_KRNC, resamples, n_threads=1)


def draw(
    truth_K: Sequence[float], seed: int, lead_K: Sequence[int] | None = None
) -> SimulatedSplit:
    return draw_split(
        truth_K,
        np.random.default_rng(seed),
        n_recordings=N_RECORDINGS,
        n_seeds=1,
        seed_sd=0.0,
        lead_K=lead_K,
    )


@pytest.fixture(scope="module")
def equal_leads() -> list[AurocResamples]:
    """Twelve leads that are all as good, sixty times."""
    splits = [draw([0.85] * 12, seed) for seed in range(60)]
    return [areas_of(split, seed) for seed, split in enumerate(splits)]


@pytest.fixture(scope="module")
def gains() -> list[tuple[SimulatedSplit, AurocResamples]]:
    """Two leads with and without a teacher, a hundred times."""
    splits = [draw([0.86, 0.82, 0.85, 0.82], seed, lead_K=[0, 1, 0, 1]) for seed in range(100, 200)]
    return [(split, areas_of(split, seed)) for seed, split in enumerate(splits)]


MOST_FALSE_CLAIMS = 9
"""Of 60, for a rate of at most 5 %: more than 9 would be seen once in 1,800 times."""


def test_the_true_areas_of_simulated_students_are_those_of_a_huge_sample() -> None:
    truth_K = [0.90, 0.85, 0.75]
    split = draw_split(
        truth_K,
        np.random.default_rng(0),
        n_recordings=20_000,
        n_seeds=3,
        seed_sd=0.0,
    )
    for k, truth in enumerate(truth_K):
        seen = [auroc_per_class(split.labels_NC, scores_NC) for scores_NC in split.scores_KRNC[k]]
        np.testing.assert_allclose(np.mean(seen, axis=0), split.truth_KC[k], atol=0.012)
        assert split.truth_KC[k].mean() == pytest.approx(truth)


def test_of_equal_leads_hardly_any_is_left_out_of_the_best_set(
    equal_leads: list[AurocResamples],
) -> None:
    sets = [best_set(a.macro_K, a.macro_BK, seeds_KR=a.macro_KR).members for a in equal_leads]
    assert sum(members.sum() == 1 for members in sets) <= MOST_FALSE_CLAIMS // 3
    assert sum(not members.all() for members in sets) <= MOST_FALSE_CLAIMS


def test_a_set_made_of_separate_comparisons_would_not_pass(
    equal_leads: list[AurocResamples],
) -> None:
    def separately(areas: AurocResamples) -> NDArray[np.bool_]:
        behind_BK = areas.macro_BK[:, [areas.macro_K.argmax()]] - areas.macro_BK
        return np.quantile(behind_BK, 0.05, axis=0) <= 0

    n_false = sum(not separately(areas).all() for areas in equal_leads)
    assert n_false > 2 * MOST_FALSE_CLAIMS


def test_of_differences_that_are_none_hardly_any_is_claimed(
    equal_leads: list[AurocResamples],
) -> None:
    pairs = [(k, k - 1) for k in range(1, 12)]
    families = [
        paired_differences(a.macro_K, a.macro_BK, pairs, seeds_KR=a.macro_KR) for a in equal_leads
    ]
    assert sum(any(each.claimed for each in family) for family in families) <= MOST_FALSE_CLAIMS
    uncorrected = [any(not each.interval.covers(0) for each in family) for family in families]
    assert sum(uncorrected) > MOST_FALSE_CLAIMS


LOWEST, HIGHEST = 0.91, 0.985
"""Of 200 intervals at 95 %, two of a study alike; exact ones are outside once in 100 times."""


def test_intervals_of_scores_cover_the_truth_about_as_often_as_they_say(
    gains: list[tuple[SimulatedSplit, AurocResamples]],
) -> None:
    percentile, bca = list[bool](), list[bool]()
    for split, areas in gains:
        jackknife = areas.jackknife()
        for k in range(2):
            values_B, truth = areas.macro_BK[:, k], split.truth_K[k]
            percentile.append(percentile_interval(values_B).covers(truth))
            corrected = bca_interval(areas.macro_K[k], values_B, jackknife.macro_PK[:, k])
            bca.append(corrected.covers(truth))
    assert LOWEST <= np.mean(percentile) <= HIGHEST
    assert LOWEST <= np.mean(bca) <= HIGHEST


def test_intervals_of_gains_cover_the_truth_about_as_often_as_they_say(
    gains: list[tuple[SimulatedSplit, AurocResamples]],
) -> None:
    pairs = [(0, 2), (1, 3)]
    covered, unpaired = list[bool](), list[bool]()
    for split, areas in gains:
        found = paired_differences(areas.macro_K, areas.macro_BK, pairs, seeds_KR=areas.macro_KR)
        for (k, j), each in zip(pairs, found, strict=True):
            truth = float(split.truth_K[k] - split.truth_K[j])
            covered.append(each.interval.covers(truth))
            # The same resamples, but not the same ones for both: what unpaired intervals are.
            shuffled = areas.macro_BK[:, k] - np.roll(areas.macro_BK[:, j], 1)
            unpaired.append(percentile_interval(shuffled).covers(truth))
    assert LOWEST <= np.mean(covered) <= HIGHEST
    assert np.mean(unpaired) > HIGHEST


def test_the_corrected_score_of_a_selection_is_much_nearer_to_the_truth_than_the_naive_one() -> (
    None
):
    naive, corrected = list[float](), list[float]()
    for seed in range(60):
        truth_T = 0.85 - 0.01 * np.random.default_rng(seed).random(16)
        split = draw(truth_T.tolist(), seed, [0] * 16)
        resamples = draw_patients(split.patient_N, 100, seed=seed)
        found = corrected_best(split.labels_NC, split.scores_KRNC[:, 0], resamples, n_threads=1)
        naive.append(found.naive - truth_T[found.best])
        corrected.append(found.corrected - truth_T[found.best])
    assert np.mean(naive) > 0.005
    assert abs(np.mean(corrected)) < 0.5 * np.mean(naive)


def test_a_race_hardly_ever_stops_the_best_lead_and_would_without_the_noise_of_patients() -> None:
    worlds = [replace(World.draw(HEIGHTS["all close"], seed), steepness=0.0) for seed in range(60)]
    outcomes = [race_alone(world, n_search=288) for world in worlds]
    assert sum(outcome.best_was_stopped for outcome in outcomes) <= MOST_FALSE_CLAIMS
    careless = [race_alone(replace(world, told_sd=0.0), n_search=288) for world in worlds]
    assert sum(outcome.best_was_stopped for outcome in careless) > MOST_FALSE_CLAIMS


def test_a_race_stops_most_leads_that_are_clearly_worse() -> None:
    outcomes = [race_alone(World.draw(HEIGHTS["real"], seed), n_search=72) for seed in range(20)]
    assert np.mean([outcome.n_stopped for outcome in outcomes]) > 6
    assert np.mean([outcome.share_saved for outcome in outcomes]) > 0.3
    assert not any(outcome.best_was_stopped for outcome in outcomes)
