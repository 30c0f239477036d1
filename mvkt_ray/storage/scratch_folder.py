"""A temporary folder that does not outlast its process for long, however that ends.

A process that is killed leaves its folder. The lock in it is then free, and the next one to come
removes it. A lock tells more than the number of a process, which another may have by then.
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
    """Make a temporary folder, and remove it afterwards; and those of processes that were killed.

    Args:
        prefix: Of its name, and of the names of all that are for the same purpose.
        base: In which it is made; by default the system's folder for temporary files.
    """
    base = Path(tempfile.gettempdir()) if base is None else base
    _remove_abandoned(base, prefix)
    made = Path(tempfile.mkdtemp(prefix=f".{prefix}", dir=base))
    lock = filelock.FileLock(made / _LOCK)
    lock.acquire()
    # Its name is found once the lock is held: until then it would look abandoned.
    folder = made.rename(base / made.name.removeprefix("."))
    try:
        yield folder
    finally:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(base: Path, prefix: str) -> None:
    for folder in base.glob(f"{prefix}*"):
        # Those of other users are theirs to remove, and may not even be looked into. A Timeout of
        # the lock is an OSError, too: somebody holds it.
        with contextlib.suppress(OSError):
            path = folder / _LOCK
            if folder.lstat().st_uid != os.geteuid() or not path.exists():
                continue
            with filelock.FileLock(path, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
