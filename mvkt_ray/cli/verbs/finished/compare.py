"""`mvkt compare`: studies beside each other, and paired differences on one test split."""

from typing import Annotated

import typer

from mvkt_ray.cli.options import VerbOutput, not_empty


def compare_verb(
    output: VerbOutput,
    study_dirs: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY_DIR...",
            help="Folders or URIs of two or more studies; the first is the reference.",
        ),
    ],
) -> None:
    """Compare studies: scores by lead, and differences if they share a test split.

    Differences are paired over patients and seeds, and corrected for multiple comparisons. Studies
    without finals show validation scores. Changes nothing, and opens no test split.
    Example: mvkt compare runs/small_teacher runs/large_teacher
    """
    from mvkt_ray.delivery.comparing.compared_studies import gather_studies
    from mvkt_ray.delivery.comparing.study_differences import compare_studies
    from mvkt_ray.delivery.report.report_json import plain_report
    from mvkt_ray.display.comparison_tables import comparison_tables
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location

    given = [Location.parse(not_empty(text) or "") for text in study_dirs]
    with output.waiting("reading the studies"):
        studies = gather_studies([StudyFolder(each) for each in given])
    with output.waiting("comparing"):
        comparison = compare_studies(studies)
    output.answer(plain_report(comparison), comparison_tables(comparison))
