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
        bool, typer.Option("--schema", help="Print the JSON schema of report.json, and end.")
    ] = False,
) -> None:
    """Answer with the ranked leads, and write STUDY_DIR/report: HTML, JSON and tables.

    Works while the search runs, and after it, on the validation split alone; after `mvkt finalize`
    on the test split that it has opened. It never opens the test split itself.
    Of a study that you may only read, the answer is shown and no file is written.
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
