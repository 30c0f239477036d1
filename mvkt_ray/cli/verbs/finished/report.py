"""`mvkt report`: which leads are best, how sure that is, and what the teacher bought."""

from mvkt_ray.cli.options import Json, Quiet, StudyDir
from mvkt_ray.cli.reporting import show_report
from mvkt_ray.display.console import Output


def report_verb(
    study_dir: StudyDir,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Answer with the ranked leads, and write STUDY_DIR/report: HTML, JSON and tables.

    Works while the search runs, and after it, on the validation split alone; after `mvkt finalize`
    on the test split that it has opened. It never opens the test split itself.
    Of a study that you may only read, the answer is shown and no file is written.
    """
    from mvkt_ray.interface.made_report import make_report
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location

    output = Output.open(as_json=as_json, quiet=quiet)
    folder = StudyFolder(Location.parse(study_dir))
    show_report(output, make_report(output, folder), may_be_read_only=True)
