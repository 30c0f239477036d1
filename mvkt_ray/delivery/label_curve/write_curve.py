"""The report of a label budget: a page with the curves, their numbers as CSV and as JSON.

Reads: the folder of a label budget. Writes: `report/` in it: `label_curve.json`, `label_curve.csv`,
`index.html`.
"""

from dataclasses import replace
from typing import Any

from markupsafe import Markup

from mvkt_ray.delivery.label_curve.curve_facts import describe_curve
from mvkt_ray.delivery.label_curve.curve_figure import draw_curve
from mvkt_ray.delivery.label_curve.curve_material import gather_curve
from mvkt_ray.delivery.label_curve.curve_words import (
    curve_caption,
    curve_sentences,
    equal_labels_text,
)
from mvkt_ray.delivery.label_curve.reported_curve import CurvePoint, CurveScore, LabelCurve
from mvkt_ray.delivery.page import page_environment, source_of
from mvkt_ray.delivery.report.report_json import report_bytes
from mvkt_ray.delivery.table_rows import ends_columns
from mvkt_ray.delivery.tables import csv_bytes
from mvkt_ray.delivery.wording import moment
from mvkt_ray.file_guards import writing
from mvkt_ray.phrasing import percent
from mvkt_ray.search.label_budget.budget_folder import BudgetFolder

_ADVICE = "Copy the label budget to a folder of your own, and report on the copy."


def build_curve(folder: BudgetFolder) -> LabelCurve:
    """Return the report of a label budget without writing files.

    Raises:
        ArtifactError: There is no label budget, or a file is damaged.
        DataError: No cell is examined yet, or cells are inconsistent.
    """
    curve = describe_curve(gather_curve(folder))
    return replace(curve, sentences=tuple(curve_sentences(curve)))


def write_curve(folder: BudgetFolder) -> LabelCurve:
    """Build the report of the cells examined so far, write it, and return it.

    Raises:
        ArtifactError: There is no label budget, a file is damaged, or the folder is not writable.
        DataError: No cell is examined yet, or cells are inconsistent.
        MachineError: The disk is full, or fails.
    """
    curve = build_curve(folder)
    report = folder.report_folder
    with writing(report, _ADVICE):
        (report / "label_curve.csv").write_bytes(csv_bytes(curve_rows(curve)))
        (report / "index.html").write_bytes(render_curve(curve).encode())
        # Last: a process that waits for this file then finds the other ones.
        (report / "label_curve.json").write_bytes(report_bytes(curve))
    return curve


def render_curve(curve: LabelCurve) -> str:
    """Return the self-contained HTML page."""
    environment = page_environment()
    return environment.get_template("label_curve.html").render(
        curve=curve,
        figure=Markup(draw_curve(curve)),
        caption=curve_caption(curve),
        level=percent(curve.statistics.level),
        equal_text=equal_labels_text,
        made_at=moment(curve.made_at),
        Markup=Markup,
        style=Markup(source_of(environment, "page.css")),
    )


def curve_rows(curve: LabelCurve) -> list[dict[str, Any]]:
    """Return one row per lead and budget, the fewest labels first."""
    return [_row(lead.lead, point) for lead in curve.leads for point in lead.points]


def _row(lead: str, point: CurvePoint) -> dict[str, Any]:
    gain, equal = point.gain, point.equal_labels
    return {
        "lead": lead,
        "budget": point.budget,
        "n_labelled": point.n_labelled,
        "n_draws": len(point.answer.by_draw),
        **_score("alone", point.alone),
        **_score("answer", point.answer),
        **_score("teacher", point.teacher),
        "gain": gain.difference,
        **ends_columns("gain_ci", gain.ci),
        **ends_columns("gain_ci_corrected", gain.ci_corrected),
        "gain_claimed": gain.claimed,
        "as_good_as_alone_with": equal and equal.n_labels,
        "as_good_as_alone_with_low": equal and equal.low,
        "as_good_as_alone_with_high": equal and equal.high,
        "as_good_as_text": equal_labels_text(equal),
    }


def _score(name: str, score: CurveScore) -> dict[str, Any]:
    return {f"{name}_macro_auroc": score.macro_auroc, **ends_columns(f"{name}_ci", score.ci)}
