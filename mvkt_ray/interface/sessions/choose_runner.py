"""Opens the runner of a verb: this process, or Ray."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from mvkt_ray.display.console import Output
from mvkt_ray.display.waiting_lines import FOR_CLUSTER, showing_waits
from mvkt_ray.interface.arguments import RunnerChoice
from mvkt_ray.interface.sessions.log_files import native_stderr_to

if TYPE_CHECKING:
    from mvkt_ray.search.runner import Runner


@contextlib.contextmanager
def open_runner(
    output: Output, choice: RunnerChoice, *, work: Path | None = None, logs: Path | None = None
) -> Generator["Runner"]:
    """Yield a runner, and close it at the end.

    Args:
        output: Output for messages on starting Ray, which takes seconds.
        choice: Selection of the runner.
        work: Folder for Ray's files of this run; by default a temporary one.
        logs: Folder for Ray's output on stderr, which is discarded by default.

    Raises:
        ClusterError: The cluster is unreachable.
    """
    if choice.in_process:
        from mvkt_ray.search.in_process import InProcess

        yield InProcess()
        return
    address = choice.address
    if address is not None:
        from mvkt_ray.on_ray.connecting.address import admitted

        # Check the address before files are written, and before imports that take seconds.
        with admitted(address):
            pass
    from mvkt_ray.on_ray.driver import OnRay

    with native_stderr_to(logs):
        with output.waiting(f"connecting to Ray at {address}" if address else "starting Ray"):
            runner = OnRay.connect(address, work=work)
        with contextlib.closing(runner), showing_waits(output.note, FOR_CLUSTER):
            yield runner
