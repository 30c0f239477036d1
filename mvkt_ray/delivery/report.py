"""The answer of a study as plain values: which lead, how good, the gain by the teacher, the cost.

Everything in it is measured on the validation split; the test split stays closed until the study is
finalized. Reads: a study's folder. Writes: `report.json` in it.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mvkt_ray.artifacts import read_manifest
from mvkt_ray.config import StudyConfig
from mvkt_ray.records import TrialState
from mvkt_ray.search.pipeline import open_study
from mvkt_ray.search.ranking import LeadRank, rank_leads
from mvkt_ray.search.study_folder import StudyFolder
from mvkt_ray.search.trial_record import TrialRecord

SCHEMA_VERSION = 1
METRIC = "macro_auroc"
SPLIT = "validation"


def write_report(folder: StudyFolder) -> dict[str, Any]:
    """Make the report of a study, write it as `report.json` into its folder, and return it.

    Raises:
        ArtifactError: There is no study, or it has not come to its first trial.
    """
    report = build_report(folder)
    text = json.dumps(report, indent=2, allow_nan=False) + "\n"
    folder.report.write_bytes(text.encode())
    return report


def build_report(folder: StudyFolder) -> dict[str, Any]:
    """Return the report as JSON will have it; numbers that are not defined are None."""
    config, study = open_study(folder)
    records = study.trials()
    return {
        "schema_version": SCHEMA_VERSION,
        "study": config.name,
        "task": config.data.task,
        "metric": METRIC,
        "ranked_on": SPLIT,
        "test_split_opened": False,
        "teacher": {SPLIT: _teacher(folder)},
        "leads": [_lead(rank, config) for rank in rank_leads(study)],
        "cost": _cost(records, folder.stage_times(), config),
        "inputs": _fingerprints(folder),
        "seed": config.seed,
    }


def _teacher(folder: StudyFolder) -> dict[str, Any] | None:
    location = folder.read_inputs()["teacher"]
    if location is None:
        return None
    details = read_manifest(location, "teacher").details
    return _scores(details["macro_auroc"], details["per_class_auroc"])


def _lead(rank: LeadRank, config: StudyConfig) -> dict[str, Any]:
    return {
        "lead": rank.condition.name,
        "trial": None if rank.best is None else rank.best.number,
        "seeds": [config.seed],
        SPLIT: _result(rank.best),
        "student_alone": _result(rank.student_alone),
        "plain_kd": _result(rank.plain_kd),
        "hyperparameters": None if rank.best is None else dict(rank.best.trial.hyperparameters),
    }


def _result(record: TrialRecord | None) -> dict[str, Any] | None:
    if record is None or record.result is None:
        return None
    scores = _scores(record.result.macro_auroc, record.result.per_class_auroc)
    return scores | {"trial": record.number}


def _scores(macro_auroc: float | None, per_class: Mapping[str, float]) -> dict[str, Any]:
    return {
        "macro_auroc": _finite(macro_auroc),
        "per_class": {name: _finite(auroc) for name, auroc in per_class.items()},
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _cost(
    records: Sequence[TrialRecord], stage_s: Mapping[str, float], config: StudyConfig
) -> dict[str, Any]:
    states = Counter(record.state.value for record in records)
    ended = [record.result for record in records if record.result is not None]
    wasted = [r for r in ended if r.state in (TrialState.FAILED, TrialState.DIVERGED)]
    saved = sum(
        config.student.epochs - result.epochs
        for result in ended
        if result.state is TrialState.PRUNED
    )
    return {
        "trials": {state.value: states[state.value] for state in TrialState},
        "trial_wall_s": _total(result.wall_s for result in ended),
        "trial_cpu_s": _total(result.cpu_s for result in ended),
        "epochs_trained": sum(result.epochs for result in ended),
        "epochs_saved_by_pruning": saved,
        "wall_s_of_failed_trials": _total(result.wall_s for result in wasted),
        "stage_s": dict(stage_s),
    }


def _total(seconds: Iterable[float]) -> float:
    return round(sum(seconds), 3)


def _fingerprints(folder: StudyFolder) -> dict[str, str]:
    inputs = folder.read_inputs()
    return {
        kind: read_manifest(location).fingerprint
        for kind, location in inputs.items()
        if location is not None
    }
