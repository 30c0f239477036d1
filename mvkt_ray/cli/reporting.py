"""Shows the report of a study, for the verbs `report`, `search` and `demo`."""

from typing import TYPE_CHECKING

from mvkt_ray.display.console import Output

if TYPE_CHECKING:
    from mvkt_ray.interface.made_report import MadeReport


def show_report(output: Output, made: "MadeReport", *, may_be_read_only: bool = False) -> None:
    """Show a report; it is shown even where its files could not be written.

    Args:
        output: Of the verb.
        made: The report.
        may_be_read_only: Whether a folder that cannot be written is only noted, not an error.

    Raises:
        MachineError: After the report was shown: the disk is full, or fails.
        ArtifactError: Likewise, unless the study may be read-only: its folder cannot be written to.
    """
    from mvkt_ray.delivery.report.report_json import plain_report
    from mvkt_ray.display.report_summary import summarize

    output.answer(plain_report(made.facts), summarize(made.facts, made.page))
    made.expect_written(may_be_read_only=may_be_read_only)
    if made.problem is not None:
        output.note(
            "Note: the answer above is complete, but not all report files were written: "
            f"{made.problem}"
        )
