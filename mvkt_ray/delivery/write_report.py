"""Builds the report of a study, and writes it as JSON, CSV tables and an HTML page.

Before finals its scores are measured on the validation split, after them on the test split. Its
types are in `report/`.

Reads: a study's folder. Writes: `report/` in that folder: `report.json`, CSV tables, `index.html`.
"""

from dataclasses import fields, replace
from datetime import UTC, datetime

from mvkt_ray import __version__
from mvkt_ray.delivery.facts.chosen import Selections
from mvkt_ray.delivery.facts.class_means import validation_scores
from mvkt_ray.delivery.facts.cost import describe_cost
from mvkt_ray.delivery.facts.data_card import describe_data
from mvkt_ray.delivery.facts.evidence import LEVEL, N_RESAMPLES, SEED
from mvkt_ray.delivery.facts.leads import leads_before_finals
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.facts.pareto_fronts import describe_sizes
from mvkt_ray.delivery.facts.provenance import describe_provenance
from mvkt_ray.delivery.facts.ranked import with_finals
from mvkt_ray.delivery.facts.split_scores import MIN_POSITIVES
from mvkt_ray.delivery.facts.study_summary import describe_race, describe_study
from mvkt_ray.delivery.page import write_page
from mvkt_ray.delivery.report.report_json import report_bytes
from mvkt_ray.delivery.report.reported_data import DataCard, OpenedSplit, ReportedOpening
from mvkt_ray.delivery.report.reported_leads import ReportedTeacher
from mvkt_ray.delivery.report.study_report import (
    METRIC,
    SCHEMA_VERSION,
    Answer,
    Statistics,
    StudyReport,
)
from mvkt_ray.delivery.sentences.answer import sentences_after_finals, sentences_before_finals
from mvkt_ray.delivery.sentences.limits import describe_limits
from mvkt_ray.delivery.tables import write_tables
from mvkt_ray.search.finals.finals_plan import CHOSEN
from mvkt_ray.search.ledger.study_folder import StudyFolder

BASIS_OF_SEARCH = (
    "Before finals no lead and no gain is tested. Intervals stand at scores that are corrected for "
    "having chosen, and are percentiles over resamples of the validation patients.",
)


def write_report(folder: StudyFolder) -> StudyReport:
    """Build the report of a study, write its files into the study's folder, and return it.

    Raises:
        ArtifactError: There is no study, it has no trial yet, or a file is damaged.
        DataError: Files are inconsistent.
    """
    material = gather_material(folder)
    report = describe(material)
    write_files(report, material, folder)
    return report


def write_files(report: StudyReport, material: ReportMaterial, folder: StudyFolder) -> None:
    """Write tables, page and JSON of a report into the study's folder."""
    write_tables(report, material, folder.report_folder)
    write_page(report, material, folder.report_page)
    # Last: a process that waits for this file then finds the other ones.
    folder.report.write_bytes(report_bytes(report))


def build_report(folder: StudyFolder) -> StudyReport:
    """Return the report of a study without writing files."""
    return describe(gather_material(folder))


def describe(material: ReportMaterial) -> StudyReport:
    """Return the report of a study's material, deterministic except for `made_at`."""
    selections = Selections(material)
    report = _of_search(material, selections)
    say = sentences_before_finals
    if material.finals is not None:
        report = with_finals(report, material, material.finals, selections)
        say = sentences_after_finals
    sentences = tuple(say(report))
    answer = replace(report.answer, sentences=sentences, sentence=" ".join(sentences))
    report = replace(report, answer=answer)
    return replace(report, limits=tuple(describe_limits(report)))


def _of_search(material: ReportMaterial, selections: Selections) -> StudyReport:
    """Return the report of the search, without sentences and limits, which need all the rest."""
    data, data_reason = describe_data(material)
    leads = leads_before_finals(material, selections)
    return StudyReport(
        schema_version=SCHEMA_VERSION,
        study=material.config.name,
        task=material.task,
        metric=METRIC,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        mvkt_ray_version=__version__,
        classes=material.classes,
        answer=Answer(
            lead=None,
            highest=next((lead.lead for lead in leads if lead.validation is not None), None),
            best_set=(),
            ranked_on="validation",
            contender=CHOSEN,
            is_synthetic=(material.config.data if data is None else data).source == "synthetic",
            sentences=(),
            sentence="",
        ),
        finals=None,
        finals_begun=material.begun,
        statistics=Statistics(
            level=LEVEL,
            n_resamples=N_RESAMPLES,
            seed=SEED,
            min_positives=MIN_POSITIVES,
            basis=BASIS_OF_SEARCH,
            n_gains=0,
            n_lead_pairs=0,
            n_mean_gains=0,
        ),
        teacher=_teacher(material),
        leads=leads,
        lead_pairs=(),
        best_set=(),
        mean_gain=None,
        mean_gains=(),
        mean_gap_closed=None,
        teacher_gap=None,
        validation_gap=None,
        selection=selections.describe_study(material),
        sizes=describe_sizes(material, leads),
        racing=describe_race(material),
        study_summary=describe_study(material),
        cost=describe_cost(material),
        data=data,
        data_reason=data_reason,
        provenance=describe_provenance(material),
        test_split=_test_split(material, data),
        limits=(),
    )


def _teacher(material: ReportMaterial) -> ReportedTeacher | None:
    manifest = material.teacher
    if manifest is None:
        return None
    details, assistant = manifest.details, material.config.teacher.of_assistant()
    return ReportedTeacher(
        network=str(details["network"]),
        assistant=None if assistant is None else assistant.network,
        leads=tuple(manifest.config["view"]["leads"]),
        n_parameters=int(manifest.counts["n_parameters"]),
        validation=validation_scores(
            details["macro_auroc"], details["per_class_auroc"], material.classes
        ),
        test=None,
    )


def _test_split(material: ReportMaterial, data: DataCard | None) -> OpenedSplit:
    n_recordings = None if data is None else data.splits.test.n_recordings
    n_patients = None if data is None else data.splits.test.n_patients
    if material.finals is not None:
        n_recordings = len(material.finals.test.record_ids_N)
        n_patients = len(set(material.finals.test.patient_ids_N))
    names = [each.name for each in fields(ReportedOpening)]
    openings = tuple(
        ReportedOpening(**{name: getattr(opening, name) for name in names})
        for opening in material.openings
    )
    return OpenedSplit(
        opened=len(openings),
        openings=openings,
        n_recordings=n_recordings,
        n_patients=n_patients,
    )
