"""Where logs go: files under the output, never the terminal. Logging is configured here only.

Writes: `driver.log`, what Python code logs; `ray-native.log`, what Ray's C++ code writes to stderr.
"""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TextIO

DRIVER_LOG = "driver.log"
NATIVE_LOG = "ray-native.log"
_STDERR = 2


@contextlib.contextmanager
def logging_to(folder: Path) -> Generator[Path]:
    """Append the logs of mvkt-ray, Ray and Optuna, and Python's warnings, to a file meanwhile.

    Args:
        folder: Made with the first line that is logged; the file in it is `driver.log`.
    """
    path = folder / DRIVER_LOG
    handler = _FolderMakingHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    with _own_handlers_off("ray", "optuna"):
        try:
            yield path
        finally:
            logging.captureWarnings(False)
            root.setLevel(level)
            root.removeHandler(handler)
            handler.close()


@contextlib.contextmanager
def native_stderr_to(folder: Path | None) -> Generator[None]:
    """Send what C++ code writes to file descriptor 2 to a file, so that it does not tear the table.

    Python's own stderr still goes where it went.

    Args:
        folder: Of `ray-native.log`, made when it is not there; None: thrown away.
    """
    if folder is None:
        path = Path(os.devnull)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / NATIVE_LOG
    kept = os.dup(_STDERR)
    before = sys.stderr
    with path.open("ab") as file:
        os.dup2(file.fileno(), _STDERR)
    if _writes_to_descriptor(before):
        sys.stderr = open(kept, "w", buffering=1, encoding=before.encoding, closefd=False)
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before
        os.dup2(kept, _STDERR)
        os.close(kept)
        if folder is not None and not path.stat().st_size:
            path.unlink()


def _writes_to_descriptor(stream: io.TextIOBase | TextIO) -> bool:
    try:
        return stream.fileno() == _STDERR
    except (OSError, ValueError):
        # A test or a notebook has put something else in its place.
        return False


class _FolderMakingHandler(logging.FileHandler):
    """A command that fails before it has anything to log leaves no folder behind."""

    def _open(self) -> io.TextIOWrapper:
        Path(self.baseFilename).parent.mkdir(parents=True, exist_ok=True)
        return super()._open()


@contextlib.contextmanager
def _own_handlers_off(*names: str) -> Generator[None]:
    """Let libraries that write to the terminal themselves write to the root's handlers only.

    They add their handlers when they are imported, so they are imported by now, or add them later
    and are asked to propagate by then.
    """
    loggers = [logging.getLogger(name) for name in names]
    kept = [(logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers.clear()
        logger.propagate = True
    try:
        yield
    finally:
        for logger, (handlers, propagate) in zip(loggers, kept, strict=True):
            logger.handlers[:] = handlers
            logger.propagate = propagate
