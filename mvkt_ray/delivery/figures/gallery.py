"""All drawings of a report: figures by name, curves of the best leads, example recordings.

Reads: the report's values, trial records, predictions of trials and finals, recordings.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mvkt_ray.data.recording import Recording
from mvkt_ray.data.shards import Shards
from mvkt_ray.delivery.facts.comparisons import ALONE
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.facts.pareto_fronts import sized_trials
from mvkt_ray.delivery.figures.compared import Comparison, Model
from mvkt_ray.delivery.figures.cost_bars import draw_cost
from mvkt_ray.delivery.figures.drawing import ALONE_STYLE, CHOSEN_STYLE, TEACHER_STYLE, Style
from mvkt_ray.delivery.figures.ecg_strips import draw_context, draw_strip
from mvkt_ray.delivery.figures.example_recordings import Example, Examples, find_examples
from mvkt_ray.delivery.figures.gain_intervals import draw_gains
from mvkt_ray.delivery.figures.gap_steps import draw_gap_steps
from mvkt_ray.delivery.figures.of_search.centred import centred_trials, drawn_trials
from mvkt_ray.delivery.figures.of_search.importance_bars import draw_importance
from mvkt_ray.delivery.figures.of_search.learning_curves import draw_learning_curves
from mvkt_ray.delivery.figures.of_search.parallel_coordinates import draw_parallel
from mvkt_ray.delivery.figures.of_search.size_fronts import draw_sizes
from mvkt_ray.delivery.figures.of_search.slices import draw_slices
from mvkt_ray.delivery.figures.of_search.two_dials import draw_two_dials
from mvkt_ray.delivery.figures.ranked_leads import draw_ranked_leads
from mvkt_ray.delivery.figures.reliability import (
    CalibrationScores,
    calibration_scores,
    draw_reliability,
)
from mvkt_ray.delivery.figures.roc import classes_without_curve, draw_roc
from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.wording import contender_name
from mvkt_ray.errors import DataError
from mvkt_ray.phrasing import listing
from mvkt_ray.search.finals.finals_plan import CHOSEN

_N_WINNERS = 2
"""Most leads with ROC and reliability curves, by rank."""
_NO_EXAMPLES = (
    "Examples are taken from recordings that nothing was chosen on; there are none before "
    "`mvkt finalize`."
)

_NOT_COMPARED = "The finals did not compare the answer with the student alone."


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """ROC and reliability curves of one lead's models."""

    condition: str
    split: str
    n_seeds: int
    roc: str
    reliability: str
    calibration: tuple[CalibrationScores, ...]
    not_drawn: str
    """A sentence on the classes without a ROC curve; empty if all have one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnExample:
    """A recording that only the distilled student classifies correctly, as drawings."""

    example: Example
    strip: str
    context: str
    facts: str
    """Age, sex and codes, without the patient's id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gallery:
    """Drawings of a report."""

    figures: Mapping[str, str]
    """SVG by name of the figure; an empty string for a figure without data."""
    curves: tuple[Curves, ...] = ()
    examples: Examples | None = None
    drawn_examples: tuple[DrawnExample, ...] = ()
    examples_reason: str = ""
    """Reason for missing example recordings; else empty."""


def make_gallery(report: StudyReport, material: ReportMaterial) -> Gallery:
    """Draw all figures for which there is data."""
    trials = drawn_trials(centred_trials(material.records))
    examples, drawn, reason = _examples(report, material)
    return Gallery(
        figures={
            "ranked_leads": draw_ranked_leads(report),
            "sizes": draw_sizes(report, sized_trials(material)),
            "gains": draw_gains(report),
            "teacher_gap": draw_gap_steps(report),
            "importance": draw_importance(report.study_summary.importance or {}),
            "slices": draw_slices(trials),
            "parallel": draw_parallel(trials),
            "two_dials": draw_two_dials(trials),
            "learning_curves": draw_learning_curves(
                material.records, [lead.lead for lead in report.leads]
            ),
            "cost": draw_cost(report),
        },
        curves=tuple(_curves(comparison) for comparison in _compare_winners(report, material)),
        examples=examples,
        drawn_examples=drawn,
        examples_reason=reason,
    )


def _curves(comparison: Comparison) -> Curves:
    suffix = comparison.condition.lower().replace("+", "-")
    return Curves(
        condition=comparison.condition,
        split=comparison.split,
        n_seeds=max(len(model.scores_RNC) for model in comparison.models),
        roc=draw_roc(comparison, f"roc-{suffix}"),
        reliability=draw_reliability(comparison, f"reliability-{suffix}"),
        calibration=tuple(calibration_scores(comparison)),
        not_drawn=_not_drawn(comparison),
    )


def _not_drawn(comparison: Comparison) -> str:
    names = classes_without_curve(comparison)
    if not names:
        return ""
    have = "has no curve" if len(names) == 1 else "have no curves"
    return (
        f"{listing(names)} {have}: no recording of the {comparison.split} split is with it, or "
        "none is without it."
    )


def _compare_winners(report: StudyReport, material: ReportMaterial) -> list[Comparison]:
    winners = report.best_set or [report.answer.highest]
    found = [
        _after_finals(lead.lead, material)
        if material.finals is not None
        else _before_finals(lead, material)
        for name in winners[:_N_WINNERS]
        if (lead := report.lead_named(name)) is not None
    ]
    return [comparison for comparison in found if comparison is not None]


def _after_finals(condition: str, material: ReportMaterial) -> Comparison | None:
    finals = material.finals
    assert finals is not None
    examined = finals.test
    name = contender_name(finals.answer)
    styles = {finals.answer: replace(CHOSEN_STYLE, name=name), ALONE: ALONE_STYLE}
    models = [
        Model(style=style, scores_RNC=examined.scores[name, condition])
        for name, style in styles.items()
        if (name, condition) in examined.scores
    ]
    if not models:
        return None
    teacher = Model(style=TEACHER_STYLE, scores_RNC=examined.teacher_NC[None])
    return Comparison(
        condition=condition,
        split="test",
        classes=finals.classes,
        labels_NC=examined.labels_NC,
        models=(teacher, *reversed(models)),
    )


def _before_finals(lead: ReportedLead, material: ReportMaterial) -> Comparison | None:
    styles: dict[str, Style] = {ALONE: ALONE_STYLE, CHOSEN: CHOSEN_STYLE}
    models: list[Model] = []
    labels_NC, classes = None, ()
    for name, style in styles.items():
        contender = lead.contenders.get(name)
        number = contender and contender.trial
        found = None if number is None else material.validation_predictions(number)
        if found is not None:
            models.append(Model(style=style, scores_RNC=found.probabilities_NC[None]))
            labels_NC, classes = found.labels_NC, found.classes
    if labels_NC is None:
        return None
    return Comparison(
        condition=lead.lead,
        split="validation",
        classes=classes,
        labels_NC=labels_NC.astype(np.float32),
        models=tuple(models),
    )


def _examples(
    report: StudyReport, material: ReportMaterial
) -> tuple[Examples | None, tuple[DrawnExample, ...], str]:
    if material.finals is None:
        return None, (), _NO_EXAMPLES
    winner = (report.best_set or [lead.lead for lead in report.leads])[0]
    examples = find_examples(material.finals, winner)
    if examples is None:
        return None, (), _NOT_COMPARED
    if not examples.shown:
        return examples, (), "So there is no recording to draw."
    shards = material.shards()
    if shards is None:
        return examples, (), "The shards with the recordings are not there any more."
    try:
        drawn = tuple(
            _draw_example(example, shards, winner, position)
            for position, example in enumerate(examples.shown, start=1)
        )
    except DataError as error:
        return examples, (), str(error)
    return examples, drawn, ""


def _draw_example(example: Example, shards: Shards, condition: str, position: int) -> DrawnExample:
    recording = shards.recording(shards.row_of(example.record_id))
    leads = condition.split("+")
    strips = [draw_strip(recording, lead, f"ecg-{position}-{lead.lower()}") for lead in leads]
    return DrawnExample(
        example=example,
        strip="\n".join(strips),
        context=draw_context(recording, leads[0], f"ecg-{position}-sheet"),
        facts=_facts(recording),
    )


def _facts(recording: Recording) -> str:
    codes = ", ".join(recording.codes) or "none"
    return f"{recording.age_text}, {recording.sex_text}; codes of the source: {codes}"
