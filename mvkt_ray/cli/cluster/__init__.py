"""`mvkt cluster`: files for places to run, machines of one's own, and studies sent to a cluster."""

from collections.abc import Callable

import typer

CLUSTER_VERBS: dict[str, Callable[..., None]] = {}
"""Every word after `mvkt cluster`, in the order of the help."""

cluster_app = typer.Typer(
    no_args_is_help=True,
    help="Write, check and start clusters; submit studies to them and follow them.",
)
for _name, _verb in CLUSTER_VERBS.items():
    cluster_app.command(_name)(_verb)
