"""`mvkt report`: which leads are best, how sure that is, and what the teacher bought."""

import json
from typing import Annotated

import typer

from mvkt_ray.cli.options import STUDY_DIR, VerbOutput
from mvkt_ray.cli.reporting import show_report
from mvkt_ray.errors import ConfigError


def report_verb(
    output: VerbOutput,
    study_dir: Annotated[str | None, STUDY_DIR] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of report.json, and exit.")
    ] = False,
) -> None:
    """Print the ranked leads, and write STUDY_DIR/report: HTML, JSON and CSV tables.

    Before `mvkt finalize`, also while the search runs, it uses the validation split; afterwards the
    test predictions of the finals. It never opens the test split itself. In a folder that you may
    only read, no file is written.
    """
    if schema:
        from mvkt_ray.delivery.report.report_json import report_schema

        output.answer_line(json.dumps(report_schema(), indent=1))
        return
    if study_dir is None:
        raise ConfigError(
            "STUDY_DIR is missing: give the folder of a study, or --schema alone for the JSON "
            "schema of report.json."
        )
    from mvkt_ray.interface.made_report import make_report
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location

    folder = StudyFolder(Location.parse(study_dir))
    show_report(output, make_report(output, folder), may_be_read_only=True)
