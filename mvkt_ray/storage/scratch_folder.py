"""Temporary folders that are removed even if their process is killed.

A killed process leaves its folder with a free lock in it; the next process that makes a folder for
the same purpose removes it. A process id would not do: another process may have it by then.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import filelock

_LOCK = "lock"


@contextlib.contextmanager
def scratch_folder(prefix: str, base: Path | None = None) -> Generator[Path]:
    """Make a temporary folder, remove it afterwards, and remove folders of killed processes.

    Args:
        prefix: Beginning of its name, shared by all folders of the same purpose.
        base: Parent folder; by default the system's folder for temporary files.

    Yields:
        The folder; it holds a file `lock` from the start.
    """
    base = Path(tempfile.gettempdir()) if base is None else base
    _remove_abandoned(base, prefix)
    made = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=base))
    lock = filelock.FileLock(made / _LOCK)
    lock.acquire()
    # Renamed once the lock is held: until then the folder would look abandoned.
    folder = made.rename(base / made.name.removeprefix("."))
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(base: Path, prefix: str) -> None:
    for folder in base.glob(f"{prefix}*"):
        # Folders of other users may not even be readable. filelock.Timeout, raised where the
        # lock is held, is an OSError, too.
        with contextlib.suppress(OSError):
            path = folder / _LOCK
            if folder.lstat().st_uid != os.geteuid() or not path.exists():
                continue
            with filelock.FileLock(path, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
