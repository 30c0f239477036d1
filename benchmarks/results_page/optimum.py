"""Where a search found its best students: temperature and weights, per lead and over all leads.

Reads: a study's ledger. All scores are on the validation split, on which the search also chose.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import Arm
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location

SHOWN = ("distill_temperature", "kd_weight", "clt_weight")
"""What the page shows of a lead's best trial."""
RANGED = ("distill_temperature", "label_weight", "kd_weight", "clt_weight", "clt_temperature")
"""Numbers whose good range is told, where the search drew them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BestTrial:
    """The best search trial of a lead on the validation split."""

    lead: str
    number: int
    macro_auroc: float
    alone: float | None
    """Of the student that saw no teacher, where the study has it."""
    hyperparameters: dict[str, Scalar]
    n_complete: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GoodRange:
    """Where a hyper-parameter is in the best quarter of all trials, leads put on one level."""

    name: str
    searched: tuple[float, float]
    """Lowest and highest value that was tried."""
    middle_half: tuple[float, float]
    """Quartiles within the best quarter."""
    median: float
    correlation: float
    """Spearman's, of value and centred score over all trials."""
    p: float
    n_trials: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimum:
    """What a search says of temperature and weights."""

    study: str
    n_trials: int
    best: tuple[BestTrial, ...]
    """Leads in the order of their scores."""
    ranges: tuple[GoodRange, ...]


def read_optimum(folder: Location) -> Optimum:
    """Read the search trials of a study that were trained to the end.

    Raises:
        ArtifactError: There is no study.
    """
    config, study = open_study(StudyFolder(folder))
    records = study.trials()
    study.close()
    by_lead: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.trial.arm is Arm.SEARCH and record.macro_auroc is not None:
            by_lead.setdefault(record.condition, []).append(record)
    best = [_best(lead, of_lead, records) for lead, of_lead in by_lead.items()]
    return Optimum(
        study=config.name,
        n_trials=len(records),
        best=tuple(sorted(best, key=lambda each: -each.macro_auroc)),
        ranges=good_ranges(by_lead),
    )


def good_ranges(by_lead: dict[str, list[TrialRecord]]) -> tuple[GoodRange, ...]:
    """Find where the drawn numbers of the best quarter are.

    A trial's score counts less the median of its lead, so that a good lead does not speak for the
    hyper-parameters that it happened to get.
    """
    pairs: list[tuple[TrialRecord, float]] = []
    for records in by_lead.values():
        level = statistics.median(_score(record) for record in records)
        pairs += [(record, _score(record) - level) for record in records]
    found = [_range(name, [(r, c) for r, c in pairs if name in r.drawn]) for name in RANGED]
    return tuple(each for each in found if each is not None)


def _range(name: str, pairs: Sequence[tuple[TrialRecord, float]]) -> GoodRange | None:
    values = np.array([float(record.drawn[name]) for record, _ in pairs])
    centred = np.array([score for _, score in pairs])
    if len(values) < 8 or values.min() == values.max() or centred.min() == centred.max():
        return None
    top = values[centred >= np.quantile(centred, 0.75)]
    low, median, high = (float(q) for q in np.quantile(top, [0.25, 0.5, 0.75]))
    correlation, p = np.asarray(spearmanr(values, centred))
    return GoodRange(
        name=name,
        searched=(float(values.min()), float(values.max())),
        middle_half=(low, high),
        median=median,
        correlation=float(correlation),
        p=float(p),
        n_trials=len(values),
    )


def _best(lead: str, of_lead: list[TrialRecord], records: Sequence[TrialRecord]) -> BestTrial:
    record = max(of_lead, key=lambda each: (_score(each), -each.number))
    alone = [
        other.macro_auroc
        for other in records
        if other.condition == lead and other.trial.arm is Arm.STUDENT_ALONE
    ]
    return BestTrial(
        lead=lead,
        number=record.number,
        macro_auroc=_score(record),
        alone=next((score for score in alone if score is not None), None),
        hyperparameters=dict(record.trial.hyperparameters),
        n_complete=len(of_lead),
    )


def _score(record: TrialRecord) -> float:
    assert record.macro_auroc is not None
    return record.macro_auroc
