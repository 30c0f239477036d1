"""The simulated studies of `calibration.py`: each answers one question about one promise.

Each function simulates one study, by its number, and returns what it came to: a number for each
figure, 1 and 0 for yes and no, NaN where the study says nothing of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from simulated_scores import SEED_SD, SimulatedSplit, draw_split
from simulated_search import (
    HEIGHTS,
    N_SEEDS,
    REAL_LEADS,
    SPACE,
    World,
    race_alone,
    search_and_finals,
    take_the_best_trial,
)

from mvkt_ray.statistics.best_set import best_set
from mvkt_ray.statistics.gains import Difference, paired_differences
from mvkt_ray.statistics.intervals import Interval, bca_interval, percentile_interval
from mvkt_ray.statistics.resampling import AurocResamples, bootstrap_auroc, draw_patients
from mvkt_ray.statistics.scores import auroc_per_class
from mvkt_ray.statistics.selection import corrected_best

N_TRIALS = 96
"""Of a search, its 24 baselines included: the default of mvkt-ray."""
N_FINALS, N_FINALS_WITH_BASELINES = 60, 180
"""Trainings of the finals: 12 leads, 5 seeds; and the same beside two baselines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Sizes of the simulated splits."""

    n_resamples: int = 500
    n_recordings: int = 350


Study = dict[str, float]


def equal_leads(settings: Settings, index: int) -> Study:
    """Twelve leads that are all as good, with and without a teacher that brings nothing."""
    n_leads = 12
    split = draw_split(
        [0.85] * (2 * n_leads),
        np.random.default_rng([1, index]),
        n_recordings=settings.n_recordings,
        n_seeds=N_SEEDS,
        lead_K=[*range(n_leads)] * 2,
    )
    areas = _bootstrap(split, settings, index)
    distilled = slice(0, n_leads)
    found = best_set(
        areas.macro_K[distilled], areas.macro_BK[:, distilled], seeds_KR=areas.macro_KR[distilled]
    )
    gains = _differences(areas, [(k, n_leads + k) for k in range(n_leads)])
    rivals = _differences(areas, [(i, j) for i in range(n_leads) for j in range(i)])
    return {
        "one is best": found.members.sum() == 1,
        "a lead is out": not found.members.all(),
        "a gain is claimed": any(each.claimed for each in gains),
        "a lead is claimed better": any(each.claimed for each in rivals),
    }


def real_leads(settings: Settings, index: int) -> Study:
    """Leads as far apart as those of a real study: is the best in the set, and who else?"""
    study: Study = {}
    for name in ("real", "three close"):
        split = draw_split(
            list(HEIGHTS[name].values()),
            np.random.default_rng([2, index]),
            n_recordings=settings.n_recordings,
            n_seeds=N_SEEDS,
        )
        areas = _bootstrap(split, settings, index)
        found = best_set(areas.macro_K, areas.macro_BK, seeds_KR=areas.macro_KR)
        study[f"best is out, {name}"] = not found.members[0]
        study[f"size, {name}"] = found.members.sum()
    return study


def coverage(settings: Settings, index: int) -> Study:
    """Intervals of four leads, each with and without a teacher that brings 0 to 0.01."""
    alone = np.array([0.86, 0.84, 0.81, 0.79])
    gain = np.array([0.01, 0.005, 0.0, 0.01])
    split = draw_split(
        [*(alone + gain), *alone],
        np.random.default_rng([3, index]),
        n_recordings=settings.n_recordings,
        n_seeds=N_SEEDS,
        lead_K=[0, 1, 2, 3] * 2,
    )
    areas = _bootstrap(split, settings, index)
    jackknife = areas.jackknife()
    leads = range(4)
    pairs = [(k, 4 + k) for k in leads]
    score = [
        (split.truth_K[k], areas.macro_K[k], areas.macro_BK[:, k], jackknife.macro_PK[:, k])
        for k in leads
    ]
    gained = [
        (split.truth_K[k] - split.truth_K[j], areas.macro_K[k] - areas.macro_K[j],
         areas.macro_BK[:, k] - areas.macro_BK[:, j],
         jackknife.macro_PK[:, k] - jackknife.macro_PK[:, j])
        for k, j in pairs
    ]  # fmt: skip
    rare = [
        (split.truth_KC[k, -1], areas.observed_KC[k, -1], areas.values_BKC[:, k, -1],
         jackknife.values_PKC[:, k, -1])
        for k in leads
    ]  # fmt: skip
    study: Study = {}
    for name, cases in (("score", score), ("gain", gained), ("rare class", rare)):
        percentile = [percentile_interval(values_B) for _, _, values_B, _ in cases]
        bca = [bca_interval(observed, values_B, left) for _, observed, values_B, left in cases]
        truths = [truth for truth, _, _, _ in cases]
        study[f"percentile, {name}"] = _share_covered(percentile, truths)
        study[f"BCa, {name}"] = _share_covered(bca, truths)
    reported = [each.interval for each in _differences(areas, pairs)]
    study["reported, gain"] = _share_covered(reported, [truth for truth, *_ in gained])
    rivals = _differences(areas, [(0, 1), (1, 2), (2, 3)])
    steps = [float(split.truth_K[i] - split.truth_K[i + 1]) for i in range(3)]
    study["reported, lead against lead"] = _share_covered([d.interval for d in rivals], steps)
    return study


SELECTIONS = {"8 of a lead": (8, [0.85]), "72 of a lead": (72, [0.85]),
              "6 of each lead": (6, list(REAL_LEADS.values()))}  # fmt: skip
"""Students that one is chosen from: how many of each lead, and how good the leads are."""


def selection(settings: Settings, index: int) -> Study:
    """The best of several students, on the split that it was chosen on.

    The luck that all students have with the patients of the split is nobody's bias, so its mean
    over the students, which is 0 in the long run, is taken off: fewer studies tell as much.
    """
    study: Study = {}
    for case, (name, (n_each, heights)) in enumerate(SELECTIONS.items()):
        rng = np.random.default_rng([4, case, index])
        lead_T = [lead for lead in range(len(heights)) for _ in range(n_each)]
        places = rng.random((len(lead_T), len(SPACE))) - 0.5
        loss_T = (places**2) @ np.array([cost for _, _, cost in SPACE.values()])
        # A student is one training: what its seed did is part of the truth about it.
        truth_T = np.array(heights)[lead_T] - loss_T + rng.normal(0, SEED_SD, len(lead_T))
        split = draw_split(
            truth_T,
            rng,
            n_recordings=settings.n_recordings,
            n_seeds=1,
            lead_K=lead_T,
            seed_sd=0.0,
        )
        scores_TNC = split.scores_KRNC[:, 0]
        resamples = draw_patients(split.patient_N, settings.n_resamples, seed=index)
        estimate = corrected_best(split.labels_NC, scores_TNC, resamples, n_threads=1)
        seen_T = [auroc_per_class(split.labels_NC, scores_NC).mean() for scores_NC in scores_TNC]
        truth, luck = float(truth_T[estimate.best]), float(np.mean(seen_T - truth_T))
        study[f"naive, {name}"] = estimate.naive - truth - luck
        study[f"corrected, {name}"] = estimate.corrected - truth - luck
        study[f"covered, {name}"] = estimate.interval.covers(truth)
    return study


RACES = {name: (name, 1.0) for name in HEIGHTS} | {"all close, flat": ("all close", 0.0)}
"""Heights of the leads, and how much hyper-parameters matter; flat bowls leave the luck of patients
and seeds alone to tell leads apart."""


def racing(_: Settings, index: int) -> Study:
    """Races among random students: is the truly best lead ever stopped, and what is saved?"""
    study: Study = {}
    for name, (heights, steepness) in RACES.items():
        world = replace(World.draw(HEIGHTS[heights], 10_000 + index), steepness=steepness)
        n_leads = len(world.heights)
        outcome = race_alone(world, n_search=6 * n_leads)
        study[f"stopped, {name}"] = outcome.best_was_stopped
        study[f"n stopped, {name}"] = outcome.n_stopped
        study[f"saved, {name}"] = outcome.share_saved if outcome.n_stopped else math.nan
        longer = race_alone(world, n_search=24 * n_leads, pruned=0.8)
        study[f"stopped when long, {name}"] = longer.best_was_stopped
    return study


def naming(scenario: str, _: Settings, index: int) -> Study:
    """Who names the truly best lead with as many trainings?"""
    world = World.draw(HEIGHTS[scenario], 20_000 + index)
    ours = {
        conditions: search_and_finals(
            world, conditions=conditions, sampler="tpe", n_trials=N_TRIALS
        )
        for conditions in ("balanced", "race")
    }
    equal, more = take_the_best_trial(
        world, n_trials=(N_TRIALS + N_FINALS, N_TRIALS + N_FINALS_WITH_BASELINES)
    )
    study: Study = {}
    for name, outcome in (*ours.items(), ("one TPE", equal), ("one TPE, more", more)):
        study[f"named, {name}"] = outcome.named == world.best_lead
        study[f"regret, {name}"] = outcome.regret
        study[f"student, {name}"] = outcome.gained
    for name in ours:
        study[f"ahead, {name}"] = study[f"named, {name}"] - study["named, one TPE"]
    study["stopped, race"] = ours["race"].best_was_stopped
    return study


def _bootstrap(split: SimulatedSplit, settings: Settings, index: int) -> AurocResamples:
    resamples = draw_patients(split.patient_N, settings.n_resamples, seed=index)
    return bootstrap_auroc(split.labels_NC, split.scores_KRNC, resamples, n_threads=1)


def _differences(areas: AurocResamples, pairs: Sequence[tuple[int, int]]) -> list[Difference]:
    return paired_differences(areas.macro_K, areas.macro_BK, pairs, seeds_KR=areas.macro_KR)


def _share_covered(intervals: Sequence[Interval], truths: Sequence[float]) -> float:
    covered = [each.covers(float(truth)) for each, truth in zip(intervals, truths, strict=True)]
    return float(np.mean(covered))


SIMULATIONS = {
    "equal_leads": equal_leads,
    "real_leads": real_leads,
    "coverage": coverage,
    "selection": selection,
    "racing": racing,
    "naming_real": partial(naming, "real"),
    "naming_two_close": partial(naming, "two close"),
    "naming_three_close": partial(naming, "three close"),
}
"""By name, as `--only` takes it."""
