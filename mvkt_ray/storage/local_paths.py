"""Paths of the local file system: which can be opened, and what lies below a folder."""

import contextlib
import os
import sys
from collections.abc import Callable, Generator

from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import WRONG_PATHS, why

_OF_FILE_SYSTEM = "lost+found"
"""Folder that fsck makes at the top of a disk, readable by root alone; it holds no data."""


def walk_local(
    top: str, on_unreadable: Callable[[str], None] | None
) -> Generator[tuple[str, list[str], list[str]]]:
    """Yield each directory below a path as `os.walk` does, sorted, without hidden names.

    Links to directories are followed, each real directory once: by its own path where that lies
    below `top`.

    Args:
        top: Path of the first directory.
        on_unreadable: Called with the path of a directory that cannot be read, and is left out;
            without it that is an error.

    Raises:
        ArtifactError: A directory cannot be read.
    """
    real_top = os.path.realpath(top)
    seen = {real_top}

    def is_new(path: str) -> bool:
        real = os.path.realpath(path)
        inside = real.startswith(f"{real_top}{os.sep}")
        if inside and os.path.islink(path) and f"{os.sep}." not in real[len(real_top) :]:
            return False  # The walk reaches it by its own path.
        is_first = real not in seen
        seen.add(real)
        return is_first

    def explain(error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return
        if on_unreadable is None:
            raise ArtifactError(
                f"the folder {error.filename} cannot be read ({error.strerror}), so its "
                "files would be left out. Make it readable, or move it away."
            ) from error
        on_unreadable(str(error.filename))

    for folder, folders, files in os.walk(top, followlinks=True, onerror=explain):
        shown = sorted(name for name in folders if name[:1] != "." and name != _OF_FILE_SYSTEM)
        folders[:] = [name for name in shown if is_new(os.path.join(folder, name))]
        yield folder, folders, sorted(name for name in files if name[:1] != ".")


@contextlib.contextmanager
def explaining_path(path: str) -> Generator[None]:
    """Convert system errors of a wrong or forbidden path; those of a failing disk pass through.

    Raises:
        ArtifactError: The path cannot be opened.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno is not None and error.errno not in WRONG_PATHS:
            raise
        raise ArtifactError(
            f"{path} cannot be opened: {why(error, path)}. Correct the path, or its permissions."
        ) from error


def expect_path(value: str) -> None:
    """Raise unless a path can be given to Arrow, which takes UTF-8 without NUL.

    Raises:
        ArtifactError: It holds other bytes.
    """
    if "\0" in value or not _is_unicode(value):
        raise ArtifactError(
            f"the path {value!r} holds bytes that are not UTF-8 text, or not text in this locale "
            f"({sys.getfilesystemencoding()}), and Arrow cannot open files there. Rename the "
            "folder, make a link to it with a plain name, or set a UTF-8 locale."
        )


def _is_unicode(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
