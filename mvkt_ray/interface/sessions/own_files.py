"""Where a driver's own files go while it runs: its logs, and Ray's. They must be on this machine.

Writes: `logs/` and `ray/` of a study in a folder; `NAME.logs/` beside an artifact. What lies on an
object store has a temporary folder meanwhile, from which the logs are copied to `TIME-HOST/` in the
same folder of the store at the end.
"""

import contextlib
import platform
from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mvkt_ray.display.console import Output
from mvkt_ray.errors import StoreError
from mvkt_ray.file_guards import check_writable_folder, writing
from mvkt_ray.storage.scratch_folder import scratch_folder

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnFiles:
    """Folders on this machine, made when something is written to them."""

    logs: Path
    ray: Path | None
    """None: in a temporary folder of Ray's."""
    kept_logs: "Location"
    """Where the logs are when the driver has ended."""

    def note_of(self, log: Path) -> str:
        """Say where a log will be, if there is one."""
        return f"; log: {self.kept_logs / log.name}" if log.exists() else ""


def logs_beside(artifact: "Location") -> "Location":
    """Return where the logs of an artifact's driver are kept."""
    return artifact.parent / f"{artifact.name}.logs"


@contextlib.contextmanager
def own_files(
    output: Output, logs: "Location", ray: "Location | None" = None
) -> Generator[OwnFiles]:
    """Give folders for the files of a driver; its logs are kept, however the block ends.

    Args:
        output: Told where the logs could not be kept.
        logs: Where they are kept.
        ray: Of a study in a folder: where Ray's files are; by default in a temporary folder.
    """
    if logs.is_local:
        yield OwnFiles(
            logs=logs.local_path, ray=None if ray is None else ray.local_path, kept_logs=logs
        )
        return
    with scratch_folder("mvkt-driver-") as scratch:
        started = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        own = OwnFiles(
            logs=scratch / "logs",
            ray=scratch / "ray",
            kept_logs=logs / f"{started}-{platform.node()}",
        )
        try:
            yield own
        finally:
            try:
                for path in sorted(own.logs.glob("*")):
                    (own.kept_logs / path.name).upload(path)
            except StoreError as error:
                output.say(f"the driver's logs are not kept: {error}")


def expect_writable(folder: "StudyFolder") -> None:
    """Ask, before Ray starts and anything is trained, whether a study can be written to its folder.

    Raises:
        ArtifactError: The folder cannot be made, or not be written to.
        MachineError: Its disk is full, fails, or may only be read.
        StoreError: The bucket is missing, read-only, or cannot be reached.
    """
    from mvkt_ray.storage.object_store import check_writable

    if not folder.root.is_local:
        check_writable(str(folder.root))
        return
    advice = "Give a folder where you may write; copy a study of somebody else there."
    check_writable_folder(folder.root.local_path, advice)
    with writing(folder.ledger, advice), contextlib.suppress(FileNotFoundError):
        folder.ledger.local_path.open("rb+").close()
