"""The curves of a label budget in a terminal: a row per lead and budget, and the conclusions."""

from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.delivery.label_curve.curve_words import equal_labels_text
from mvkt_ray.delivery.label_curve.reported_curve import LabelCurve
from mvkt_ray.display.console import facts, grid, heading
from mvkt_ray.phrasing import TERMINAL


def curve_table(curve: LabelCurve, page: str) -> list[RenderableType]:
    """Return table and conclusions of a label budget.

    Args:
        curve: Report of the label budget.
        page: Path of the HTML page.
    """
    numbers = ["labels", "draws", "alone", "distilled", "gain", "as good as alone with"]
    table = grid(["lead", *numbers], right=numbers)
    for lead in curve.leads:
        for point in lead.points:
            table.add_row(
                Text(lead.lead, "bold"),
                TERMINAL.count(point.n_labelled),
                str(len(point.answer.by_draw)),
                TERMINAL.score(point.alone.macro_auroc),
                TERMINAL.score(point.answer.macro_auroc),
                f"{TERMINAL.signed(point.gain.difference)}"
                f"{'' if point.gain.claimed else ' not shown'}",
                equal_labels_text(point.equal_labels),
            )
    title = f"Label budget {curve.study}: macro AUROC on the test split, means over draws"
    said = [Text(sentence) for sentence in curve.sentences]
    return [heading(title), table, *said, facts({"page": page})]
