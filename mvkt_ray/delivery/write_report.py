"""The answer of a study as plain values: which leads, how sure, the gain by the teacher, the cost.

Before finals everything in it is measured on the validation split; after, on the test split that
they have opened. `report/` has its types.

Reads: a study's folder. Writes: `report/` in it: `report.json`, tables as CSV, `index.html`.
"""

from dataclasses import fields, replace
from datetime import UTC, datetime

from mvkt_ray import __version__
from mvkt_ray.delivery.facts.chosen import Selections
from mvkt_ray.delivery.facts.cost import describe_cost
from mvkt_ray.delivery.facts.data_card import describe_data
from mvkt_ray.delivery.facts.gaps.validation_gap import describe_gap
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.facts.pareto_fronts import describe_sizes
from mvkt_ray.delivery.facts.provenance import describe_provenance
from mvkt_ray.delivery.facts.ranked import describe_finals, describe_search
from mvkt_ray.delivery.facts.study_summary import describe_race, describe_study
from mvkt_ray.delivery.page import write_page
from mvkt_ray.delivery.report.report_json import report_bytes
from mvkt_ray.delivery.report.reported_data import DataCard, OpenedSplit, ReportedOpening
from mvkt_ray.delivery.report.study_report import METRIC, SCHEMA_VERSION, Answer, StudyReport
from mvkt_ray.delivery.sentences.answer import sentences_after_finals, sentences_before_finals
from mvkt_ray.delivery.sentences.limits import describe_limits
from mvkt_ray.delivery.tables import write_tables
from mvkt_ray.search.ledger.study_folder import StudyFolder


def write_report(folder: StudyFolder) -> StudyReport:
    """Make the report of a study, write all its files into the study's folder, and return it.

    Raises:
        ArtifactError: There is no study, it has not come to its first trial, or a file is damaged.
        DataError: Files do not fit together.
    """
    material = gather_material(folder)
    report = describe(material)
    write_files(report, material, folder)
    return report


def write_files(report: StudyReport, material: ReportMaterial, folder: StudyFolder) -> None:
    """Write what `describe` made of the material into the study's folder."""
    write_tables(report, material, folder.report_folder)
    write_page(report, material, folder.report_page)
    # Last: who waits for it finds the rest.
    folder.report.write_bytes(report_bytes(report))


def build_report(folder: StudyFolder) -> StudyReport:
    """Return the report without writing anything."""
    return describe(gather_material(folder))


def describe(material: ReportMaterial) -> StudyReport:
    """Return the report of a study that was read; the same but for `made_at` every time."""
    report = _without_sentences(material)
    say = sentences_before_finals if report.finals is None else sentences_after_finals
    sentences = tuple(say(report))
    answer = replace(report.answer, sentences=sentences, sentence=" ".join(sentences))
    report = replace(report, answer=answer)
    return replace(report, limits=tuple(describe_limits(report)))


def _without_sentences(material: ReportMaterial) -> StudyReport:
    """Return all of a report that is not made of the rest of it."""
    selections = Selections(material)
    data, data_reason = describe_data(material)
    ranked = (
        describe_search(material, selections)
        if material.finals is None
        else describe_finals(material, material.finals, selections)
    )
    best_set = ranked.best_set
    return StudyReport(
        schema_version=SCHEMA_VERSION,
        study=material.config.name,
        task=material.task,
        metric=METRIC,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        mvkt_ray_version=__version__,
        classes=material.classes,
        answer=Answer(
            lead=best_set[0] if len(best_set) == 1 else None,
            highest=ranked.highest,
            best_set=best_set,
            ranked_on=ranked.ranked_on,
            contender=ranked.contender,
            is_synthetic=(material.config.data if data is None else data).source == "synthetic",
            sentences=(),
            sentence="",
        ),
        finals=ranked.finals,
        finals_begun=material.begun,
        statistics=ranked.statistics,
        teacher=ranked.teacher,
        leads=ranked.leads,
        lead_pairs=ranked.lead_pairs,
        best_set=best_set,
        mean_gain=ranked.mean_gain,
        mean_gains=ranked.mean_gains,
        mean_gap_closed=ranked.mean_gap_closed,
        teacher_gap=ranked.teacher_gap,
        validation_gap=None
        if ranked.finals is None
        else describe_gap(ranked.leads, ranked.highest),
        selection=selections.describe_study(material),
        sizes=describe_sizes(material, ranked.leads),
        racing=describe_race(material),
        study_summary=describe_study(material),
        cost=describe_cost(material),
        data=data,
        data_reason=data_reason,
        provenance=describe_provenance(material),
        test_split=_test_split(material, data),
        limits=(),
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
