"""The report as one self-contained HTML page, without network access or other files.

Reads: the report and its material. Writes: one file.
"""

import functools

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mvkt_ray.data.drawing.ecg_paper import SCALE
from mvkt_ray.delivery.facts.comparisons import compared_with
from mvkt_ray.delivery.facts.data_card import AGE_PERCENTILES
from mvkt_ray.delivery.facts.material import ReportMaterial
from mvkt_ray.delivery.figures.gallery import Gallery, make_gallery
from mvkt_ray.delivery.figures.gap_steps import DRAWN_LEADS
from mvkt_ray.delivery.figures.of_search.centred import N_DRAWN
from mvkt_ray.delivery.figures.of_search.learning_curves import N_CURVES
from mvkt_ray.delivery.figures.of_search.parallel_coordinates import N_TRIALS
from mvkt_ray.delivery.heat_map import make_heat_map
from mvkt_ray.delivery.report.reported_differences import MeanGain
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.sentences import captions
from mvkt_ray.delivery.sentences.from_validation_to_test import gap_sentence, mean_gap_sentence
from mvkt_ray.delivery.sentences.gap_in_words import (
    is_left,
    teacher_gap_caption,
    teacher_gap_figure_caption,
)
from mvkt_ray.delivery.sentences.recording_counts import use_sentence
from mvkt_ray.delivery.sentences.small_students import least, sizes_caption
from mvkt_ray.delivery.sentences.study_progress import finals_begun
from mvkt_ray.delivery.wording import FILTERS, moment, student_name
from mvkt_ray.storage.location import Location

_CONTENTS = (
    ("answer", "The answer"),
    ("leads", "Ranked leads"),
    ("classes", "Leads by classes"),
    ("teacher", "What the teacher bought"),
    ("curves", "ROC and calibration"),
    ("search", "The search"),
    ("examples", "Example recordings"),
    ("cost", "Cost"),
    ("data", "Data card"),
    ("limits", "Limits"),
    ("provenance", "Provenance"),
)
"""Sections in their order: name of the template, title."""


def write_page(report: StudyReport, material: ReportMaterial, location: Location) -> None:
    """Draw the figures, render the page, and write it.

    Args:
        report: Report of a study.
        material: Material of the same study, for the figures.
        location: Location of the HTML file.
    """
    page = render_page(report, make_gallery(report, material))
    # A recorded command may contain a file name that is not UTF-8.
    location.write_bytes(page.encode(errors="backslashreplace"))


def render_page(report: StudyReport, gallery: Gallery) -> str:
    """Return the page as HTML; a section without data has the reason in one line."""
    environment = page_environment()
    return environment.get_template("index.html").render(
        report=report,
        scale=SCALE,
        age_percentiles=AGE_PERCENTILES,
        level=report.statistics.level_text,
        gallery=gallery,
        contents=_CONTENTS,
        contenders=_contenders(report),
        baselines=_baselines(report),
        figures={name: Markup(svg) for name, svg in gallery.figures.items()},
        heat_map=make_heat_map(report),
        is_final=report.is_final,
        student=student_name(report.answer.contender),
        n_lines=N_TRIALS,
        n_points=N_DRAWN,
        n_curves=N_CURVES,
        said=_sentences(report, gallery),
        made_at=moment(report.made_at),
        Markup=Markup,
        style=Markup(source_of(environment, "page.css")),
        script=Markup(source_of(environment, "page.js")),
    )


@functools.cache
def page_environment() -> Environment:
    """Return the environment of the page templates; cached, as templates do not change."""
    environment = Environment(
        loader=PackageLoader("mvkt_ray.delivery", "page_templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.tests["left_over"] = is_left
    return environment


def _sentences(report: StudyReport, gallery: Gallery) -> dict[str, str]:
    """Return the sentences of the templates that depend on the study, by place."""
    gap, data = report.validation_gap, report.data
    return {
        "ranked_leads": captions.ranked_leads_caption(report),
        "scored": captions.how_leads_were_scored(report),
        "best_set": captions.best_set_note(report),
        "teacher": captions.teacher_title(report),
        "pairs": captions.pairs_note(report),
        "sizes": sizes_caption(report),
        "least": "" if report.sizes is None else f"the {least(report.sizes)}",
        "gains": captions.gains_caption(report),
        "classes": captions.classes_of_means(report),
        "looked_for": captions.looked_for(report),
        "learning_curves": captions.learning_curves_caption(report),
        "curves": captions.curves_note(report, [each.condition for each in gallery.curves]),
        "begun": " ".join(finals_begun(report)),
        "gap": "" if gap is None else gap_sentence(gap),
        "mean_gap": "" if gap is None else mean_gap_sentence(gap),
        "teacher_gap": teacher_gap_caption(report),
        "teacher_gap_figure": teacher_gap_figure_caption(report, DRAWN_LEADS),
        "use": "" if data is None else use_sentence(data),
    }


def _contenders(report: StudyReport) -> list[str]:
    """Return the names of all contenders, the answer first."""
    names = [name for lead in report.leads for name in lead.contenders]
    return list(dict.fromkeys([report.answer.contender, *names])) if names else []


def _baselines(report: StudyReport) -> list[tuple[str, MeanGain | None]]:
    """Return the baselines of gains, each with its mean gain over the leads, if any."""
    baselines, further = compared_with(report.leads)
    means = {mean.over: mean for mean in report.mean_gains}
    return [(name, means.get(name)) for name in [*baselines, *further]]


def source_of(environment: Environment, name: str) -> str:
    """Return the text of a file in the folder of the templates."""
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, name)
    return source
