"""Where a verb's work runs: in this process, or on Ray."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from mvkt_ray.display.console import Output
from mvkt_ray.display.waiting_lines import FOR_CLUSTER, telling_waits
from mvkt_ray.interface.arguments import RunnerChoice
from mvkt_ray.interface.sessions.log_files import native_stderr_to

if TYPE_CHECKING:
    from mvkt_ray.search.runner import Runner


@contextlib.contextmanager
def open_runner(
    output: Output, choice: RunnerChoice, *, work: Path | None = None, logs: Path | None = None
) -> Generator["Runner"]:
    """Open a runner and close it in the end.

    Args:
        output: Told when Ray starts, which takes seconds.
        choice: Which runner.
        work: Folder for Ray's own files about this run; a temporary one by default.
        logs: Folder for what Ray writes to stderr; thrown away by default.

    Raises:
        ClusterError: The cluster cannot be reached.
    """
    if choice.in_process:
        from mvkt_ray.search.in_process import InProcess

        yield InProcess()
        return
    address = choice.address
    if address is not None:
        from mvkt_ray.on_ray.connecting.address import admitted

        # Refused before anything is written, and before what takes seconds is imported.
        with admitted(address):
            pass
    from mvkt_ray.on_ray.driver import OnRay

    with native_stderr_to(logs):
        with output.waiting(f"connecting to Ray at {address}" if address else "starting Ray"):
            runner = OnRay.connect(address, work=work)
        with contextlib.closing(runner), telling_waits(output.note, FOR_CLUSTER):
            yield runner
