"""`mvkt dashboard`: optuna-dashboard on a study, on a copy of its ledger."""

import contextlib
from typing import Annotated

import typer

from mvkt_ray.cli.options import Folder, JsonOutput

LOOPBACK = "127.0.0.1"


def dashboard_verb(
    output: JsonOutput,
    folder: Folder,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to listen on; 0.0.0.0 admits other machines."
        ),
    ] = LOOPBACK,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            help="Port to listen on; 0: any free one. By default the usual port, or a free one if "
            "it is taken.",
        ),
    ] = None,
) -> None:
    """Show a study in a browser by optuna-dashboard; Ctrl-C ends it.

    Nothing can be changed there: a ledger that is a file is copied, one on a server is only read.
    By default it listens on this machine only. It has no password.
    """
    from mvkt_ray.cli.dashboard_server import dashboard_of, open_server

    with contextlib.ExitStack() as stack:
        with output.waiting("opening the ledger"):
            application = stack.enter_context(dashboard_of(folder))
        server = stack.enter_context(open_server(application, host, port))
        # As it was asked for: 0.0.0.0 is every address of the machine.
        url = f"http://{host}:{server.server_port}/"
        value = {"study": str(folder.root), "url": url, "port": server.server_port}
        output.answer(value, [f"{folder.root} is shown at {url}; Ctrl-C ends it"])
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
    output.say("dashboard closed")
