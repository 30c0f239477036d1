"""Where a verb's work runs: in this process, or on Ray."""

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

from mvkt_ray.cli.console import Output

if TYPE_CHECKING:
    from mvkt_ray.search.place import Place


@contextlib.contextmanager
def open_place(
    output: Output, *, address: str | None, in_process: bool, work: Path | None = None
) -> Generator["Place"]:
    """Open a place and close it in the end.

    Args:
        output: Told when Ray starts, which takes seconds.
        address: Of a Ray cluster; None starts one on this machine.
        in_process: Do not use Ray at all.
        work: Folder for Ray's own files about this run; a temporary one by default.

    Raises:
        ClusterError: The cluster cannot be reached.
    """
    place = _open(output, address, in_process, work)
    try:
        yield place
    finally:
        place.close()


def _open(output: Output, address: str | None, in_process: bool, work: Path | None) -> "Place":
    if in_process:
        from mvkt_ray.search.in_process import InProcess

        return InProcess()
    from mvkt_ray.on_ray.driver import OnRay

    with output.waiting(f"connecting to Ray at {address}" if address else "starting Ray"):
        return OnRay.connect(address=address, work=work)
