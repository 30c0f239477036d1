"""Makes the report of a study for the verbs `report`, `search` and `demo`, and shows it.

Writes: `report/` of the study, where that can be written to.
"""

import errno
from typing import TYPE_CHECKING, Any

from mvkt_ray.cli.display.console import Output
from mvkt_ray.cli.display.report_summary import summarize
from mvkt_ray.errors import ArtifactError, MachineError, StoreError
from mvkt_ray.file_guards import writing

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.study_folder import StudyFolder


class _NotWrittenError(ArtifactError):
    """The report is there, and its files are not."""


def answer_with_report(
    output: Output, folder: "StudyFolder", *, may_be_read_only: bool = False
) -> dict[str, Any]:
    """Write the report of a study and show it; it is shown even where it cannot be written.

    Args:
        output: Of the verb.
        folder: Of the study.
        may_be_read_only: That the folder is another's is no failure, and said in a note.

    Raises:
        MachineError: After the report was shown: the disk is full, or fails.
        ArtifactError: Likewise, unless the study may be read-only: its folder cannot be written to.
    """
    from mvkt_ray.delivery.facts.material import gather_material
    from mvkt_ray.delivery.write_report import describe, write_files

    folder.expect_study()
    problem: _NotWrittenError | MachineError | StoreError | None = None
    with output.waiting("making the report"):
        material = gather_material(folder)
        report = describe(material)
        try:
            with writing(folder.report_folder, _ADVICE, _NotWrittenError):
                write_files(report, material, folder)
        except (_NotWrittenError, MachineError, StoreError) as error:
            problem = error
    page = "not written" if problem else str(folder.report_page)
    output.answer(report, summarize(report, page))
    if problem is not None:
        if not may_be_read_only or _is_of_disk(problem):
            raise problem
        output.note(f"Note: the answer is complete, but its files are not: {problem}")
    return report


_ADVICE = (
    "Copy the study to a folder of your own and report on the copy, or let somebody report who may "
    "write there."
)


def _is_of_disk(problem: Exception) -> bool:
    """Whether the disk fails; a read-only file system is one that may only be read."""
    cause = problem.__cause__
    is_read_only = isinstance(cause, OSError) and cause.errno == errno.EROFS
    return isinstance(problem, MachineError) and not is_read_only
