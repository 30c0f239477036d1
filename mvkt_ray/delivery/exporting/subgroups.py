"""Scores of a student by sex and age, which an overall mean may hide.

Shapes: R seeds, N recordings, C classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.data.shards import Shards
from mvkt_ray.delivery.facts.evidence import LEVEL, N_RESAMPLES, SEED
from mvkt_ray.delivery.facts.split_scores import MIN_POSITIVES
from mvkt_ray.json_values import finite
from mvkt_ray.statistics.intervals import ends, percentile_interval
from mvkt_ray.statistics.resampling import bootstrap_auroc, draw_patients

_AGES = ((0, 40), (40, 65), (65, 200))
"""Age groups in years, lower bound inclusive; the last group has no upper bound."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Subgroup:
    """Scores of a student, over its seeds, on the recordings of a group of patients."""

    name: str
    n_recordings: int
    n_patients: int
    classes: tuple[str, ...]
    """Classes of the mean, with at least `MIN_POSITIVES` recordings with and without the class."""
    macro_auroc: float | None
    """None without such a class."""
    interval: tuple[float, float] | None
    """Confidence interval at the report's level, by a bootstrap over the group's patients."""


def subgroups(
    shards: Shards,
    *,
    record_ids_N: NDArray[Any],
    patient_ids_N: NDArray[Any],
    labels_NC: NDArray[Any],
    scores_RNC: NDArray[np.float32],
    classes: tuple[str, ...],
) -> tuple[Subgroup, ...]:
    """Score a student on women, men and three age groups; empty groups are omitted.

    Args:
        shards: Shards with sex and age of the recordings, if known.
        record_ids_N: Ids of the predicted recordings.
        patient_ids_N: Ids of their patients.
        labels_NC: 1 for a recording with the class.
        scores_RNC: Probabilities.
        classes: Classes of the task.
    """
    row_of = {record_id: row for row, record_id in enumerate(shards.record_ids())}
    rows_N = np.array([row_of[each] for each in record_ids_N], dtype=np.int64)
    found: list[Subgroup] = []
    for name, is_in_N in _groups(shards, rows_N):
        if not is_in_N.any():
            continue
        group = _score(
            name,
            patient_ids_N[is_in_N],
            labels_NC[is_in_N] > 0.5,
            scores_RNC[:, is_in_N],
            classes,
        )
        found.append(group)
    return tuple(found)


def _groups(shards: Shards, rows_N: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    sex_N = np.array(shards.column("sex").take(rows_N).to_pylist(), dtype=object)
    for sex in ("female", "male"):
        yield sex, sex_N == sex
    ages = shards.column("age").take(rows_N).to_numpy(zero_copy_only=False)
    age_N = np.asarray(ages, dtype=np.float64)
    for low, high in _AGES:
        is_last = high == _AGES[-1][1]
        name = f"{low} years and older" if is_last else f"{low} to {high - 1} years"
        yield (f"under {high} years" if low == 0 else name), (age_N >= low) & (age_N < high)


def _score(
    name: str,
    patient_ids_N: NDArray[Any],
    positive_NC: NDArray[np.bool_],
    scores_RNC: NDArray[np.float32],
    classes: tuple[str, ...],
) -> Subgroup:
    n_positive_C = positive_NC.sum(axis=0)
    fewest_C = np.minimum(n_positive_C, len(positive_NC) - n_positive_C)
    judged = np.flatnonzero(fewest_C >= MIN_POSITIVES)
    n_patients = len(np.unique(patient_ids_N))
    macro, interval = None, None
    if len(judged):
        areas = bootstrap_auroc(
            positive_NC[:, judged],
            scores_RNC[None, :, :, judged],
            draw_patients(patient_ids_N, N_RESAMPLES, SEED),
        )
        macro = finite(areas.macro_K[0])
        between = ends(percentile_interval(areas.macro_BK[:, 0], LEVEL))
        interval = None if between is None else (between[0], min(1.0, between[1]))
    return Subgroup(
        name=name,
        n_recordings=len(positive_NC),
        n_patients=n_patients,
        classes=tuple(classes[c] for c in judged),
        macro_auroc=macro,
        interval=interval,
    )
