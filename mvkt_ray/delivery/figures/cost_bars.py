"""What the study cost: trial time by how it ended, beside what was saved.

Reads: the report's values.
"""

from mvkt_ray.delivery.figures.drawing import WIDTH, Colour, drawing, to_svg
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.search.spending.prices import SECONDS_PER_HOUR

_BAR = 0.62

_ROWS = (
    ("teacher", "teacher_wall_s", Colour.TEACHER, ""),
    ("trials of the search", "trial_wall_s", Colour.DISTILLED, ""),
    ("trainings of the finals", "final_wall_s", Colour.DISTILLED, ""),
    ("wasted by failures", "wasted_s", Colour.ALONE, "xxx"),
    ("saved by pruning", "saved_by_pruning_s", Colour.PAPER, "///"),
    ("saved by stored knowledge", "saved_by_knowledge_s", Colour.PAPER, "///"),
)


def draw_cost(report: StudyReport) -> str:
    """Draw hours of trials, useful and wasted, and hours that were not spent."""
    rows = [
        (name, seconds / SECONDS_PER_HOUR, colour, hatch)
        for name, key, colour, hatch in _ROWS
        if (seconds := getattr(report.cost, key)) is not None
    ]
    longest = max(abs(hours) for _, hours, _, _ in rows)
    if longest <= 0:
        return ""
    with drawing(WIDTH, 26.0 * len(rows) + 65) as figure:
        axes = figure.subplots()
        for y, (_, hours, colour, hatch) in enumerate(rows):
            edge = Colour.MUTED if colour is Colour.PAPER else colour
            # What cost more than it saved has its number, and no bar.
            axes.barh(y, max(0.0, hours), _BAR, color=colour, edgecolor=edge, hatch=hatch)
            axes.annotate(
                hours_text(hours), (max(0.0, hours), y), xytext=(6, 0), textcoords="offset points",
                va="center",
            )  # fmt: skip
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, longest * 1.14)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("wall-clock hours, summed over trainings")
        parts = ", ".join(f"{name} {hours_text(hours)}" for name, hours, _, _ in rows)
        return to_svg(figure, "cost", "Cost of the trials", f"Hours: {parts}.")


def hours_text(hours: float) -> str:
    """Return hours with two digits that count, as minutes below one hour."""
    if hours < 0:
        return f"\N{MINUS SIGN}{hours_text(-hours)}"
    if hours == 0:
        return "0"
    if hours < 1:
        return f"{hours * 60:.0f} min" if hours * 60 >= 1 else f"{hours * SECONDS_PER_HOUR:.0f} s"
    return f"{hours:.1f} h"
