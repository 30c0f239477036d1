"""Two guards at the doors of the program: a file of the user's is read, an output is written.

They go by place, not by type: whatever is raised while a user's file is read says that this file
cannot be read, and why. Nobody has to think of all that a folder in place of a file, a loop of
links, a byte that is no UTF-8 or a list in place of a mapping leads to in the libraries beneath.
`--debug` shows the traceback, for the cause is kept. Files of our own are found here, too.
"""

import errno
import json
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mvkt_ray.errors import ArtifactError, ConfigError, MachineError, MvktError
from mvkt_ray.machine_faults import remedy_of, room_at
from mvkt_ray.phrasing import one_line

WRONG_PATHS = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR),
        *(errno.EISDIR, errno.ENOENT, errno.EEXIST, errno.ENOTEMPTY, errno.EINVAL, errno.ENXIO),
    }
)
"""Errors of the system that mean a wrong path."""

_SAID = {errno.EEXIST: "a file is there, and no folder"}

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
"""Errors of the system that mean a fault of the disk, not of the path."""


@contextmanager
def reading(what: object, right: str, kind: type[MvktError] = ConfigError) -> Generator[None]:
    """Turn all that goes wrong while a user's file is read into one paragraph.

    Args:
        what: The file, as the user knows it.
        right: What would be right and what to do, as whole sentences.
        kind: Of the error that is raised.

    Raises:
        MvktError: Of the kind. Errors that were raised on purpose are passed on.
        MachineError: The disk or the memory fails.
    """
    try:
        yield
    except MvktError:
        raise
    except MemoryError as error:
        raise MachineError(
            f"{what} cannot be read: out of memory. End other processes on this machine, or use a "
            "larger one, and start again."
        ) from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            raise _of_machine(f"{what} cannot be read", error, None) from error
        raise kind(f"{what} cannot be read: {why(error, what)}. {right}") from error


@contextmanager
def writing(path: object, right: str, kind: type[MvktError] = ArtifactError) -> Generator[None]:
    """Turn what the system refuses while an output is written into one paragraph.

    Args:
        path: Of the output.
        right: What to give instead, as a whole sentence.
        kind: Of the error that is raised where the path is wrong.

    Raises:
        MvktError: Of the kind: the path cannot be written to.
        MachineError: The disk is full or fails, or its file system is read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise _of_machine(f"{path} cannot be written", error, str(path)) from error
        if error.errno not in WRONG_PATHS:
            raise
        raise kind(f"{path} cannot be written: {why(error, path)}. {right}") from error


def why(error: Exception, what: object = "") -> str:
    """Say in a clause why a file cannot be read or written.

    Args:
        error: What was raised.
        what: How the file was named before, so that it is not named again.
    """
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error})"
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"it is not text in UTF-8 (byte 0x{byte:02x} at position {error.start})"
    if isinstance(error, KeyError):
        return f"it has no {one_line(error)}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, OSError) and error.errno is not None:
        said = _SAID.get(error.errno) or os.strerror(error.errno)
        other = os.fsdecode(error.filename) if _is_path(error.filename) else ""
        return f"{said} ({other})" if other and other not in str(what) else said
    if isinstance(orig := getattr(error, "orig", None), Exception):
        # SQLAlchemy adds the statement and an address; what the database said is enough.
        return one_line(orig)
    if isinstance(error, TypeError | AttributeError):
        return f"its content is not as expected ({one_line(error)})"
    return one_line(error)


def check_writable_folder(folder: Path, right: str) -> None:
    """See that a folder, or the one that it would be made in, can be written to.

    Nothing is left there.

    Args:
        folder: Of an output; it need not be there.
        right: What to give instead, as a whole sentence.

    Raises:
        ArtifactError: It cannot be made or written to.
        MachineError: The disk is full or fails, or its file system is read-only.
    """
    with writing(folder, right):
        nearest = next(each for each in (folder, *folder.parents) if _is_there(each))
        if not nearest.is_dir():
            raise ArtifactError(f"{folder} cannot be written: {nearest} is a file. {right}")
        try:
            with tempfile.TemporaryFile(dir=nearest) as file:
                file.write(b"mvkt")
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(nearest)) from error


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_path(name: object) -> bool:
    return isinstance(name, str | bytes) and bool(name)


def _of_machine(what: str, error: OSError, path: str | None) -> MachineError:
    name = error.filename if _is_path(error.filename) else path
    room = room_at(os.fsdecode(name)) if name else ""
    return MachineError(
        f"{what}: {why(error, what)}.{room} {remedy_of(error)} The input is not at fault: after "
        "that run the same command again; with --resume it continues where it stopped."
    )


def find_installed(path: str) -> Path:
    """Find a file that comes with the package: inside it, or at the top of a checkout.

    Raises:
        ArtifactError: It is in neither.
    """
    package = Path(__file__).parent
    candidates = [root / path for root in (package, package.parent)]
    for file in candidates:
        if file.exists():
            return file
    raise ArtifactError(
        f"neither {candidates[0]} nor {candidates[1]} exists: the installation is incomplete. "
        "Install mvkt-ray again."
    )
