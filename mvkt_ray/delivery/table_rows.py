"""Rows of a report's tables; keys are the column names of `tables`, in any order."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.facts.pareto_fronts import sized_trials
from mvkt_ray.delivery.facts.recordings_used import UNUSED
from mvkt_ray.delivery.report.reported_differences import Gain, GapPart
from mvkt_ray.delivery.report.reported_leads import ReportedContender, ReportedTeacher
from mvkt_ray.delivery.report.reported_search import Front
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.json_values import finite
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import PriceList

Rows = Iterator[dict[str, Any]]


def lead_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per lead."""
    for lead in report.leads:
        validation, test = lead.validation, lead.test
        to_best, gap = lead.difference_to_best, lead.gap_closed
        yield {
            "rank": lead.rank,
            "lead": lead.lead,
            "ranked_on": report.answer.ranked_on,
            "in_best_set": lead.in_best_set,
            "trial": lead.trial,
            "n_seeds": len(lead.seeds),
            "n_parameters": lead.n_parameters,
            "validation_macro_auroc": validation and validation.macro_auroc,
            "validation_left_out": _names(validation and validation.left_out),
            "validation_macro_auroc_corrected": validation and validation.corrected,
            "n_candidates": validation and validation.n_candidates,
            "test_macro_auroc": test and test.macro_auroc,
            "test_left_out": _names(test and test.left_out),
            **ends_columns("ci", test and test.ci),
            **ends_columns("ci_bca", test and test.ci_bca),
            "seed_sd": test and test.seed_sd,
            "difference_to_best": to_best and to_best.difference,
            "difference_to_best_low": to_best and to_best.low,
            "difference_to_best_high": to_best and to_best.high,
            "test_macro_f1": test and test.macro_f1,
            "test_macro_average_precision": test and test.macro_average_precision,
            "gap_closed_fraction": gap and gap.fraction,
            **ends_columns("gap_closed_ci", gap and gap.ci),
        }


def contender_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per lead and contender, and one for the teacher."""
    for lead, name, contender in _contenders(report):
        validation, test = contender.validation, contender.test
        seeds = contender.seeds if isinstance(contender, ReportedContender) else ()
        yield {
            "lead": lead,
            "contender": name,
            "trial": contender.trial if isinstance(contender, ReportedContender) else None,
            "n_seeds": len(seeds) or None,
            "validation_macro_auroc": validation and validation.macro_auroc,
            "test_macro_auroc": test and test.macro_auroc,
            **ends_columns("ci", test and test.ci),
            "seed_sd": test and test.seed_sd,
        }


def class_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per lead, contender and class, and one per class for the teacher."""
    for lead, name, contender in _contenders(report):
        validation, test = contender.validation, contender.test
        for each in report.classes:
            scores = test and test.per_class.get(each)
            yield {
                "lead": lead,
                "contender": name,
                "class": each,
                "validation_auroc": validation and validation.auroc_of(each),
                "test_auroc": scores and scores.auroc,
                **ends_columns("ci", scores and scores.ci),
                "n_positive": scores and scores.n_positive,
                "too_few": scores and scores.too_few,
                "average_precision": scores and scores.average_precision,
                "f1": scores and scores.f1,
                "threshold": scores and scores.threshold,
            }


def size_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per complete trial of the search; none if students have one size."""
    if report.sizes is None:
        return
    fronts = {entry.lead: _trials_on(entry) for entry in report.sizes.leads}
    over_all = _trials_on(report.sizes.of_all_leads)
    enough = {entry.lead: entry.nearly_as_good for entry in report.sizes.leads}
    for trial in sized_trials(material):
        yield {
            "trial": trial.trial,
            "lead": trial.lead,
            "student": trial.student,
            "n_parameters": trial.n_parameters,
            "n_multiply_accumulates": trial.n_multiply_accumulates,
            "latency_ms": trial.latency_ms,
            "validation_macro_auroc": trial.macro_auroc,
            "on_front": trial.trial in fronts[trial.lead],
            "on_front_of_all_leads": trial.trial in over_all,
            "nearly_as_good": trial.trial == enough[trial.lead],
        }


def gain_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per lead and other contender."""
    for lead in report.leads:
        for gain in lead.gains:
            first = {"lead": lead.lead, "contender": report.answer.contender}
            yield first | _gain_columns(gain)


def mean_gain_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per other contender."""
    for gain in report.mean_gains:
        yield {"contender": report.answer.contender} | _gain_columns(gain)


def lead_pair_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per pair of leads."""
    yield from map(_gain_columns, report.lead_pairs)


def teacher_gap_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per lead and class, and one per lead for the macro mean."""
    gap = report.teacher_gap
    if gap is None:
        return
    for lead in gap.leads:
        for row in lead.rows:
            yield {
                "lead": lead.lead,
                "contender": report.answer.contender,
                "over": gap.baseline,
                "class": row.class_,
                "n_students": lead.n_students,
                "n_positive": row.n_positive,
                "too_few": row.too_few,
                "alone_auroc": row.alone,
                "answer_auroc": row.answer,
                "ensemble_auroc": row.ensemble,
                "teacher_auroc": row.teacher,
                "gap": row.gap and row.gap.difference,
                **ends_columns("gap_ci", row.gap and row.gap.ci),
                **_gap_part("closed", row.closed),
                **_gap_part("attainable", row.attainable),
                **_gap_part("left", row.left),
                "reason": row.reason,
            }


def trial_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per training of the search and of the finals."""
    prices = PriceList(material.config.resources.cost)
    yield from _trials({"stage": "search", "finals": None}, material.records, prices)
    for number, records in material.rounds.items():
        yield from _trials({"stage": "finals", "finals": number}, records, prices)


def opening_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per opening of the test split."""
    hidden = ("completed_by", "predictions")
    for opening in report.test_split.openings:
        yield {name: value for name, value in asdict(opening).items() if name not in hidden}


def split_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per split, one per split and class, and one per reason to be in no split."""
    if report.data is None:
        return
    for name, split in zip(("train", "val", "test"), report.data.splits.all, strict=True):
        counts = {"n_recordings": split.n_recordings, "n_patients": split.n_patients}
        yield {"split": name, "class": None, "reason": None} | counts
        for each, n_positive in (split.n_positive or {}).items():
            of_class = {"split": name, "class": each, "reason": None}
            yield of_class | {"n_recordings": n_positive, "n_patients": None}
    for reason in UNUSED:
        unused = {"split": None, "class": None, "reason": reason}
        yield unused | {"n_recordings": getattr(report.data, f"n_{reason}"), "n_patients": None}


def quarantine_rows(report: StudyReport, material: ReportMaterial) -> Rows:
    """Yield one row per reason for quarantine."""
    quarantine = {} if report.data is None else report.data.quarantine
    for reason, n_recordings in quarantine.items():
        yield {"reason": reason, "n_recordings": n_recordings}


def _contenders(
    report: StudyReport,
) -> Iterator[tuple[str | None, str, ReportedContender | ReportedTeacher]]:
    for lead in report.leads:
        for name, contender in lead.contenders.items():
            yield lead.lead, name, contender
    if report.teacher is not None:
        yield None, "teacher", report.teacher


def _trials_on(entry: Front) -> set[int]:
    return {point.trial for point in entry.front}


def _names(classes: Sequence[str] | None) -> str | None:
    return None if classes is None else json.dumps(list(classes), ensure_ascii=False)


def _trials(stage: Mapping[str, Any], records: Sequence[TrialRecord], prices: PriceList) -> Rows:
    for record in records:
        spent = prices.spent(record.usage.reservations)
        trial, result = record.trial, record.result
        value = (
            record.values.get(record.last_scored_epoch) if result is None else result.macro_auroc
        )
        yield {
            **stage,
            "trial": trial.number,
            "lead": record.condition,
            "arm": trial.contender or trial.arm.value,
            "repetition": trial.repetition,
            "state": record.state.value,
            "epochs": record.last_epoch if result is None else result.epochs,
            "validation_macro_auroc": finite(value),
            "wall_s": None if result is None else result.wall_s,
            "cpu_s": None if result is None else result.cpu_s,
            "gpu_s": spent.gpu_s,
            "money": None if prices.is_empty or spent.unpriced_s else spent.money,
            "n_lost_attempts": len(record.failures),
            "reason": None if result is None else result.reason,
            "hyperparameters": json.dumps(dict(trial.hyperparameters)),
        }


def _gain_columns(gain: Gain) -> dict[str, Any]:
    """Return all fields of a gain, its two intervals as columns of their ends."""
    values = asdict(gain)
    for name in ("ci", "ci_corrected"):
        values |= ends_columns(name, values.pop(name))
    return values


def _gap_part(name: str, part: GapPart | None) -> dict[str, Any]:
    return {
        name: part and part.difference,
        **ends_columns(f"{name}_ci", part and part.ci),
        f"{name}_fraction": part and part.fraction,
        **ends_columns(f"{name}_fraction_ci", part and part.fraction_ci),
    }


def ends_columns(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    """Return the columns `name_low` and `name_high` of an interval."""
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}
