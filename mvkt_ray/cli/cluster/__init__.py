"""`mvkt cluster`: files for places to run, machines of one's own, and studies sent to a cluster."""

from collections.abc import Callable

import typer

from mvkt_ray.cli.cluster.check import check_verb
from mvkt_ray.cli.cluster.render import render_verb

CLUSTER_VERBS: dict[str, Callable[..., None]] = {
    "render": render_verb,
    "check": check_verb,
}
"""Every word after `mvkt cluster`, in the order of the help."""

cluster_app = typer.Typer(
    no_args_is_help=True,
    help="Write, check and start clusters; submit studies to them and follow them.",
)
for _name, _verb in CLUSTER_VERBS.items():
    cluster_app.command(_name)(_verb)
