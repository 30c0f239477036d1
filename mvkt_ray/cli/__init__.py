"""The command line: one verb per stage. Verbs import what is heavy when they run.

Computations are not here but in the rooms that verbs call: `interface`, and those below it.
"""

from collections.abc import Callable
from typing import Annotated

import typer

from mvkt_ray import __version__
from mvkt_ray.cli.cluster import cluster_app
from mvkt_ray.cli.failures import MvktGroup
from mvkt_ray.cli.options import with_flags
from mvkt_ray.cli.verbs.cache import cache_verb
from mvkt_ray.cli.verbs.demo import demo_verb
from mvkt_ray.cli.verbs.doctor import doctor_verb
from mvkt_ray.cli.verbs.download import download_verb
from mvkt_ray.cli.verbs.finished.compare import compare_verb
from mvkt_ray.cli.verbs.finished.dashboard import dashboard_verb
from mvkt_ray.cli.verbs.finished.export import export_verb
from mvkt_ray.cli.verbs.finished.extend import extend_verb
from mvkt_ray.cli.verbs.finished.finalize import finalize_verb
from mvkt_ray.cli.verbs.finished.gc import gc_verb
from mvkt_ray.cli.verbs.finished.report import report_verb
from mvkt_ray.cli.verbs.finished.rerun import rerun_verb
from mvkt_ray.cli.verbs.ingest import ingest_verb
from mvkt_ray.cli.verbs.inspect import inspect_verb
from mvkt_ray.cli.verbs.label_budget import label_budget_verb
from mvkt_ray.cli.verbs.plugins import plugins_verb
from mvkt_ray.cli.verbs.predict import predict_verb
from mvkt_ray.cli.verbs.schema_verb import schema_verb
from mvkt_ray.cli.verbs.search import search_verb
from mvkt_ray.cli.verbs.status import status_verb
from mvkt_ray.cli.verbs.train_teacher import train_teacher_verb
from mvkt_ray.cli.verbs.verify import verify_verb
from mvkt_ray.display.visible_text import let_streams_write_anything

VERBS: dict[str, Callable[..., None]] = {
    verb.__name__.removesuffix("_verb").replace("_", "-"): verb
    for verb in (
        *(demo_verb, download_verb, ingest_verb, inspect_verb, verify_verb, train_teacher_verb),
        *(cache_verb, search_verb, status_verb, dashboard_verb, extend_verb, finalize_verb),
        *(report_verb, label_budget_verb, compare_verb, export_verb, predict_verb, rerun_verb),
        *(gc_verb, schema_verb, plugins_verb, doctor_verb),
    )
}
"""Every verb by its name, in the order of the help."""

app = typer.Typer(
    name="mvkt",
    cls=MvktGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _verb in VERBS.items():
    app.command(_name)(with_flags(_verb))
app.add_typer(cluster_app, name="cluster")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mvkt-ray {__version__}")
        raise typer.Exit()


@app.callback()
def _global_options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error; may stand anywhere.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Find the best single ECG lead by distributed search over distilled students.

    A study file (see search_spaces/) defines what is searched; flags set where and how long.
    Exit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted (the command to resume is printed).
    """


def main() -> None:
    """Run the command line; the entry point of `mvkt`."""
    let_streams_write_anything()
    app(prog_name="mvkt")
