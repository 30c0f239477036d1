"""The report of a label budget: a page with the curves, their numbers as CSV and as JSON.

Reads: the folder of a label budget. Writes: `report/` in it: `label_curve.json`, `label_curve.csv`,
`index.html`.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from markupsafe import Markup

from mvkt_ray.delivery.label_curve.curve_facts import describe_curve
from mvkt_ray.delivery.label_curve.curve_figure import draw_curve
from mvkt_ray.delivery.label_curve.curve_material import gather_curve
from mvkt_ray.delivery.label_curve.curve_words import (
    curve_caption,
    curve_sentences,
    equal_labels_text,
    labels_of,
)
from mvkt_ray.delivery.page import page_environment, source_of
from mvkt_ray.file_guards import writing
from mvkt_ray.phrasing import percent
from mvkt_ray.search.label_budget.budget_folder import BudgetFolder

_ADVICE = "Copy the label budget to a folder of your own, and report on the copy."


def build_curve(folder: BudgetFolder) -> dict[str, Any]:
    """Return the report of a label budget without writing anything.

    Raises:
        ArtifactError: There is none, or a file is damaged.
        DataError: No cell was examined yet, or cells do not fit together.
    """
    curve = describe_curve(gather_curve(folder))
    return curve | {"sentences": curve_sentences(curve)}


def write_curve(folder: BudgetFolder) -> dict[str, Any]:
    """Make the report of what is examined so far, write it, and return it.

    Raises:
        ArtifactError: There is none, a file is damaged, or the folder cannot be written to.
        DataError: No cell was examined yet, or cells do not fit together.
        MachineError: The disk is full, or fails.
    """
    curve = build_curve(folder)
    report = folder.report_folder
    with writing(report, _ADVICE):
        (report / "label_curve.csv").write_bytes(_csv(list(curve_rows(curve))))
        (report / "index.html").write_bytes(render_curve(curve).encode())
        # Last: who waits for it finds the rest.
        content = json.dumps(curve, indent=2, allow_nan=False) + "\n"
        (report / "label_curve.json").write_bytes(content.encode())
    return curve


def render_curve(curve: Mapping[str, Any]) -> str:
    """Return the page, which needs nothing but itself."""
    environment = page_environment()
    made_at = datetime.fromisoformat(curve["made_at"])
    return environment.get_template("label_curve.html").render(
        curve=curve,
        figure=Markup(draw_curve(curve)),
        caption=curve_caption(curve),
        level=percent(curve["statistics"]["level"]),
        labels_of=labels_of,
        equal_text=equal_labels_text,
        made_at=f"{made_at:%d %B %Y, %H:%M} UTC".lstrip("0"),
        Markup=Markup,
        style=Markup(source_of(environment, "page.css")),
    )


def curve_rows(curve: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield one row per lead and budget, the fewest labels first."""
    for lead in curve["leads"]:
        for point in lead["points"]:
            equal = point["equal_labels"] or {}
            yield {
                "lead": lead["lead"],
                "budget": point["budget"],
                "n_labelled": point["n_labelled"],
                "n_draws": len(point["answer"]["by_draw"]),
                **_score("alone", point["alone"]),
                **_score("answer", point["answer"]),
                **_score("teacher", point["teacher"]),
                "gain": point["gain"]["difference"],
                **_ends("gain_ci", point["gain"]["ci"]),
                **_ends("gain_ci_corrected", point["gain"]["ci_corrected"]),
                "gain_claimed": "true" if point["gain"]["claimed"] else "false",
                "as_good_as_alone_with": equal.get("n_labels"),
                "as_good_as_alone_with_low": equal.get("low"),
                "as_good_as_alone_with_high": equal.get("high"),
                "as_good_as_text": equal_labels_text(point["equal_labels"]),
            }


def _score(name: str, score: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{name}_macro_auroc": score["macro_auroc"], **_ends(f"{name}_ci", score["ci"])}


def _ends(name: str, interval: Sequence[float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["lead"])
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    return text.getvalue().encode()
