"""The report of a study, made once: its facts, and whether its files could be written.

Writes: `report/` of the study, where that can be written to.
"""

import errno
from dataclasses import dataclass

from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.write_report import describe, write_files
from mvkt_ray.display.console import Output
from mvkt_ray.errors import ArtifactError, MachineError, MvktError, StoreError
from mvkt_ray.file_guards import writing
from mvkt_ray.search.ledger.study_folder import StudyFolder

_ADVICE = (
    "Copy the study to a folder of your own and report on the copy, or have its owner make the "
    "report."
)


class _NotWrittenError(ArtifactError):
    """The report is there, and its files are not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeReport:
    """A report, and the location of its files."""

    material: ReportMaterial
    facts: StudyReport
    """All that it says."""
    problem: MvktError | None
    """Why the files are not written; None: they are."""

    @property
    def page(self) -> str:
        """Where the HTML page is, or that it is not."""
        return "not written" if self.problem else str(self.material.folder.report_page)

    def expect_written(self, *, may_be_read_only: bool = False) -> None:
        """Raise where the files could not be written.

        Args:
            may_be_read_only: That the folder is another's is no failure.

        Raises:
            MachineError: The disk is full, or fails.
            ArtifactError: The folder cannot be written to.
            StoreError: Likewise of a store.
        """
        if self.problem is not None and not (may_be_read_only and not _is_of_disk(self.problem)):
            raise self.problem


def make_report(output: Output, folder: StudyFolder) -> MadeReport:
    """Read a study, describe it and write its report; that it cannot be written is no error yet.

    Raises:
        ArtifactError: There is no study, it has not come to its first trial, or a file is damaged.
        DataError: Files do not fit together.
    """
    folder.expect_study()
    with output.waiting("making the report"):
        material = gather_material(folder)
        return write_made_report(material, describe(material))


def write_made_report(material: ReportMaterial, facts: StudyReport) -> MadeReport:
    """Write the files of a report whose facts are there."""
    problem: MvktError | None = None
    try:
        with writing(material.folder.report_folder, _ADVICE, _NotWrittenError):
            write_files(facts, material, material.folder)
    except (_NotWrittenError, MachineError, StoreError) as error:
        problem = error
    return MadeReport(material=material, facts=facts, problem=problem)


def _is_of_disk(problem: Exception) -> bool:
    """Whether the disk fails; a read-only file system is one that may only be read."""
    cause = problem.__cause__
    is_read_only = isinstance(cause, OSError) and cause.errno == errno.EROFS
    return isinstance(problem, MachineError) and not is_read_only
