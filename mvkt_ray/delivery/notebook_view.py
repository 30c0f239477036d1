"""The answer of a study as an HTML element for a notebook: sentence, ranked table, forest plot.

It has the colours of the page, light or dark as the notebook is, without affecting other elements.
"""

import hashlib
import re

from markupsafe import Markup

from mvkt_ray.delivery.figures.ranked_leads import draw_ranked_leads
from mvkt_ray.delivery.page import page_environment, source_of
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences.captions import ranked_leads_caption

_DARK = (
    "body[data-jp-theme-light='false'] .mvkt-study",  # JupyterLab
    "body.vscode-dark .mvkt-study",
)
"""Selectors of a notebook with a dark theme, which is independent of the browser's."""


def notebook_view(report: StudyReport) -> str:
    """Return a report's answer as an HTML element with its own style."""
    environment, figure = page_environment(), draw_ranked_leads(report)
    # A notebook may show several studies: ids of their figures must differ.
    tag = hashlib.sha256(figure.encode()).hexdigest()[:8]
    return environment.get_template("notebook.html").render(
        report=report,
        is_final=report.is_final,
        level=report.statistics.level_text,
        figure=Markup(figure.replace("ranked-leads-", f"ranked-leads-{tag}-")),
        caption=ranked_leads_caption(report),
        style=Markup(_style()),
    )


def _style() -> str:
    environment = page_environment()
    light, dark = _palettes(source_of(environment, "page.css"))
    rules = [f".mvkt-study {{ {light} }}", f"{', '.join(_DARK)} {{ {dark} }}"]
    return "\n".join([*rules, source_of(environment, "notebook.css")])


def _palettes(page_style: str) -> list[str]:
    """Return the colour declarations of the page's style sheet, light and dark."""
    blocks = re.findall(r":root \{(.*?)\}", page_style, re.DOTALL)[:2]
    return [" ".join(re.findall(r"--[\w-]+:\s*[^;]+;", block)) for block in blocks]
