"""Flags that several verbs of `mvkt cluster` share."""

from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.config.ports import DASHBOARD_PORT

TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File with the cluster's token; by default RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token.",
    ),
]

ClusterUrl = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL",
        help=f"Dashboard of the cluster's head, http://HOST:{DASHBOARD_PORT}.",
    ),
]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="Name of a job, printed by `submit`.")]
