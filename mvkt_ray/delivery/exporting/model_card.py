"""The model card: a model's purpose, origin, performance and limits, as Markdown.

Its sections follow Mitchell et al. 2019, "Model Cards for Model Reporting", FAT*, arXiv 1810.03993;
its last table locates the applicable items of TRIPOD+AI (Collins et al. 2024, BMJ 385, e078378).
Every number in it was measured or read from the study.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from mvkt_ray.delivery.exporting.checked_graphs import MOST_LOST, TOLERANCE, CheckedGraphs
from mvkt_ray.delivery.exporting.exported_student import ExportedStudent
from mvkt_ray.delivery.exporting.measured_run import MeasuredRun
from mvkt_ray.delivery.exporting.operating_points import LEAST, OperatingPoints
from mvkt_ray.delivery.exporting.subgroups import Subgroup
from mvkt_ray.delivery.facts.data_card import AGE_PERCENTILES
from mvkt_ray.delivery.facts.evidence import LEVEL
from mvkt_ray.delivery.predicting.model_file import ModelFile
from mvkt_ray.delivery.report.reported_leads import ReportedLead
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.wording import student_name
from mvkt_ray.models.facts import NetworkFacts
from mvkt_ray.phrasing import TERMINAL, byte_size, listing, percent

_TEMPLATE = "model_card.md.jinja"

Shares = Sequence[tuple[float | None, float | None]]
"""Sensitivity and specificity of each class; None if undefined."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Performance:
    """Performance by class at the thresholds of one operating point."""

    name: str
    on_validation: Shares
    """Performance on the split on which the thresholds were chosen."""
    on_test: Shares | None
    """None for a model that was not examined on the test split."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CardFacts:
    """Content of a model card."""

    model: ModelFile
    student: ExportedStudent
    report: StudyReport
    """Report of the study."""
    network: NetworkFacts
    graphs: CheckedGraphs
    runs: Mapping[str, MeasuredRun]
    """Measured runs by name of the graph's file."""
    file_bytes: Mapping[str, int]
    points: OperatingPoints
    performances: Sequence[Performance]
    groups: Sequence[Subgroup]
    """Scores on the test split, or on validation for a model that was not examined."""
    n_windows_of_10_s: int
    since_training: Mapping[str, float]
    """Differences of the float32 graph to the student's stored validation predictions: `largest`
    and `macro_auroc_then` (`checked_graphs.differences`)."""
    fingerprints: Mapping[str, str]


def write_card(facts: CardFacts) -> str:
    """Return the card as Markdown."""
    environment = Environment(
        loader=PackageLoader("mvkt_ray.delivery", "exporting"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "score": TERMINAL.score,
        "interval": TERMINAL.interval,
        "listing": listing,
        "plain": _plain,
        "count": TERMINAL.count,
        "byte_size": lambda value: TERMINAL.nothing if value is None else byte_size(value),
        "share": lambda value: "-" if value is None else f"{value:.2f}",
        "threshold": lambda value: "never" if value is None else f"{value:.3f}",
    }
    lead = next(each for each in facts.report.leads if each.lead == facts.student.condition.name)
    return environment.get_template(_TEMPLATE).render(
        f=facts,
        model=facts.model,
        report=facts.report,
        data=facts.report.data,
        lead=lead,
        alone=lead.contenders.get("student_alone"),
        scored=lead.contenders.get(facts.student.contender),
        own_score=_own_score(facts, lead),
        student=student_name(facts.student.contender),
        level=percent(LEVEL),
        ages=AGE_PERCENTILES,
        least=f"{LEAST:.2f}",
        tolerance=TOLERANCE,
        most_lost=MOST_LOST,
        hyperparameters=dict(facts.student.trial.hyperparameters),
    )


def _own_score(facts: CardFacts, lead: ReportedLead) -> float | None:
    """Return the test macro AUROC of this training alone, not the mean over seeds."""
    contender = lead.contenders.get(facts.student.contender)
    if not facts.student.examined or contender is None or contender.test is None:
        return None
    seeds = contender.seeds
    repetition = facts.student.trial.repetition
    return contender.test.per_seed[seeds.index(repetition)] if repetition in seeds else None


def _plain(text: object) -> str:
    """Escape a name from data, so that it is plain text in Markdown and its tables."""
    escaped = "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in str(text))
    return " ".join(escaped.split())
