"""Makes the report of a study once, and notes whether its files were written.

Writes: `report/` of the study, if the folder is writable.
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
    """The files of a complete report cannot be written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeReport:
    """A report, and the outcome of writing its files."""

    material: ReportMaterial
    facts: StudyReport
    """Values of the report."""
    problem: MvktError | None
    """Error of writing the files; None for written files."""

    @property
    def page(self) -> str:
        """Location of the HTML page, or `not written`."""
        return "not written" if self.problem else str(self.material.folder.report_page)

    def expect_written(self, *, may_be_read_only: bool = False) -> None:
        """Raise the error of writing the files, if any.

        Args:
            may_be_read_only: Whether to accept a folder without write permission.

        Raises:
            MachineError: The disk is full, or fails.
            ArtifactError: The folder is not writable.
            StoreError: The store denies writing, or is unavailable.
        """
        if self.problem is not None and not (may_be_read_only and not _is_of_disk(self.problem)):
            raise self.problem


def make_report(output: Output, folder: StudyFolder) -> MadeReport:
    """Read a study, and make and write its report; an error of writing is noted, not raised.

    Raises:
        ArtifactError: There is no study, it has no trial yet, or a file is damaged.
        DataError: Files are inconsistent.
    """
    folder.expect_study()
    with output.waiting("making the report"):
        material = gather_material(folder)
        return write_made_report(material, describe(material))


def write_made_report(material: ReportMaterial, facts: StudyReport) -> MadeReport:
    """Write the files of a report; an error of writing is noted, not raised."""
    problem: MvktError | None = None
    try:
        with writing(material.folder.report_folder, _ADVICE, _NotWrittenError):
            write_files(facts, material, material.folder)
    except (_NotWrittenError, MachineError, StoreError) as error:
        problem = error
    return MadeReport(material=material, facts=facts, problem=problem)


def _is_of_disk(problem: Exception) -> bool:
    """Return whether the disk is full or fails; a read-only file system is no failure."""
    cause = problem.__cause__
    is_read_only = isinstance(cause, OSError) and cause.errno == errno.EROFS
    return isinstance(problem, MachineError) and not is_read_only
