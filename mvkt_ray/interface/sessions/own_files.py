"""The local folders of a driver's own files: its logs, and Ray's files.

Writes: `logs/` and `ray/` of a study in a folder; `NAME.logs/` beside an artifact. For a study or
an artifact in an object store they are in a temporary folder; at the end the logs are copied to
`TIME-HOST/` in the store's logs folder.
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
    """Folders on this machine, created with their first file."""

    logs: Path
    ray: Path | None
    """Folder of Ray's files; None for a temporary folder of Ray's."""
    kept_logs: "Location"
    """Location of the logs after the end of the driver."""

    def note_of(self, log: Path) -> str:
        """Return the location of a kept log, to append to a sentence; empty without a log."""
        return f"; log: {self.kept_logs / log.name}" if log.exists() else ""


def logs_beside(artifact: "Location") -> "Location":
    """Return the location of the logs of an artifact's driver."""
    return artifact.parent / f"{artifact.name}.logs"


@contextlib.contextmanager
def own_files(
    output: Output, logs: "Location", ray: "Location | None" = None
) -> Generator[OwnFiles]:
    """Yield folders for a driver's files; its logs are kept, also on errors.

    Args:
        output: Output for a message on logs that could not be kept.
        logs: Location of the kept logs.
        ray: Folder of Ray's files, for a study in a folder; by default a temporary folder.
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
            _keep_logs(output, own)


def _keep_logs(output: Output, own: OwnFiles) -> None:
    try:
        for path in sorted(own.logs.glob("*")):
            (own.kept_logs / path.name).upload(path)
    except StoreError as error:
        output.say(f"the driver's logs are not kept: {error}")


def expect_writable(folder: "StudyFolder") -> None:
    """Check that a study's folder is writable, before Ray is started.

    Raises:
        ArtifactError: The folder cannot be created, or is not writable.
        MachineError: Its disk is full, fails, or is read-only.
        StoreError: The bucket is missing, read-only, or unreachable.
    """
    from mvkt_ray.storage.object_store import check_writable

    if not folder.root.is_local:
        check_writable(str(folder.root))
        return
    advice = "Give a folder where you may write; copy another user's study there."
    check_writable_folder(folder.root.local_path, advice)
    with writing(folder.ledger, advice), contextlib.suppress(FileNotFoundError):
        folder.ledger.local_path.open("rb+").close()
