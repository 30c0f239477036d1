"""The cost of the study: hours of training by purpose, wasted and saved hours.

Reads: the report's values.
"""

from mvkt_ray.delivery.figures.drawing import WIDTH, Colour, drawing, to_svg
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.phrasing import PAGE
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
    """Return hours spent, wasted and saved as SVG; an empty string if all are 0."""
    rows = [
        (name, seconds, colour, hatch)
        for name, key, colour, hatch in _ROWS
        if (seconds := getattr(report.cost, key)) is not None
    ]
    longest = max(abs(seconds) for _, seconds, _, _ in rows)
    if longest <= 0:
        return ""
    with drawing(WIDTH, 26.0 * len(rows) + 65) as figure:
        axes = figure.subplots()
        for y, (_, seconds, colour, hatch) in enumerate(rows):
            edge = Colour.MUTED if colour is Colour.PAPER else colour
            # A negative saving has a number, but no bar.
            hours = max(0.0, seconds / SECONDS_PER_HOUR)
            axes.barh(y, hours, _BAR, color=colour, edgecolor=edge, hatch=hatch)
            axes.annotate(
                _time(seconds), (hours, y), xytext=(6, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, longest / SECONDS_PER_HOUR * 1.14)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("wall-clock hours, summed over trainings")
        parts = ", ".join(f"{name} {_time(seconds)}" for name, seconds, _, _ in rows)
        return to_svg(figure, "cost", "Cost of the trials", f"Hours: {parts}.")


def _time(seconds: float) -> str:
    return PAGE.rounded_duration(seconds) if seconds else "0"
