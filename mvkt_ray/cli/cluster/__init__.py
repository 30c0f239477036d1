"""`mvkt cluster`: verbs that write a cluster's file, start nodes, and send studies to a cluster.

Cluster files are rendered in `cluster_files`; nodes and jobs are started in `on_ray`, not here.
"""

from collections.abc import Callable

import typer

from mvkt_ray.cli.cluster.check import check_verb
from mvkt_ray.cli.cluster.cluster_status import status_verb
from mvkt_ray.cli.cluster.logs import logs_verb
from mvkt_ray.cli.cluster.render import render_verb
from mvkt_ray.cli.cluster.start import start_verb
from mvkt_ray.cli.cluster.stop import stop_verb
from mvkt_ray.cli.cluster.submit import submit_verb
from mvkt_ray.cli.options import with_flags

CLUSTER_VERBS: dict[str, Callable[..., None]] = {
    "render": render_verb,
    "check": check_verb,
    "start": start_verb,
    "submit": submit_verb,
    "status": status_verb,
    "logs": logs_verb,
    "stop": stop_verb,
}
"""Every word after `mvkt cluster`, in the order of the help."""

PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True}
"""Passes options that `submit` does not define on to the search."""

cluster_app = typer.Typer(
    no_args_is_help=True,
    help="Write, check and start clusters; submit studies to them and follow them.",
)
for _name, _verb in CLUSTER_VERBS.items():
    _settings = PASS_ON if _verb is submit_verb else None
    cluster_app.command(_name, context_settings=_settings)(with_flags(_verb))
