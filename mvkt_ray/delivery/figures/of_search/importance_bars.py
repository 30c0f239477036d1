"""The importance of the hyper-parameters as bars.

Reads: the report's values, which are computed on scores centred per lead.
"""

from collections.abc import Mapping

from mvkt_ray.delivery.figures.drawing import WIDTH, Colour, drawing, to_svg
from mvkt_ray.delivery.wording import parameter_name


def draw_importance(importance: Mapping[str, float]) -> str:
    """Return the shares by hyper-parameter, the largest first, as SVG; an empty string for none."""
    rows = sorted(importance.items(), key=lambda item: -item[1])
    if not rows:
        return ""
    with drawing(WIDTH, 26.0 * len(rows) + 62) as figure:
        axes = figure.subplots()
        for y, (_, share) in enumerate(rows):
            axes.barh(y, share, 0.62, color=Colour.DISTILLED, linewidth=0)
            axes.annotate(
                f"{share:.2f}", (share, y), xytext=(6, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(rows)), [parameter_name(name) for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, max(share for _, share in rows) * 1.1 or 1.0)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of the importance")
        shares = ", ".join(f"{parameter_name(name)} {share:.2f}" for name, share in rows)
        title = "Importance of the hyper-parameters"
        return to_svg(figure, "importance", title, f"Shares: {shares}.")
