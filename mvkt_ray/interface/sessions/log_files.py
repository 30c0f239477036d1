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

from mvkt_ray.display.visible_text import visible
from mvkt_ray.file_guards import why, writing
from mvkt_ray.phrasing import hide_passwords

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
    handler.setFormatter(_WithoutPasswords("%(asctime)s %(levelname)s %(name)s: %(message)s"))
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
            with contextlib.suppress(OSError):
                handler.close()
            if handler.problem is not None:
                note = f"Note: the log {path} is not complete: {why(handler.problem, path)}"
                sys.stderr.write(f"{visible(note, one_line=True)}\n")


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
        with writing(folder, "Move the existing file away, or correct its permissions."):
            folder.mkdir(parents=True, exist_ok=True)
        path = folder / NATIVE_LOG
    kept = os.dup(_STDERR)
    before = sys.stderr
    with path.open("ab") as file:
        os.dup2(file.fileno(), _STDERR)
    if _writes_to_descriptor(before):
        sys.stderr = open(
            kept,
            "w",
            buffering=1,
            encoding=before.encoding,
            errors="backslashreplace",
            closefd=False,
        )
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


class _WithoutPasswords(logging.Formatter):
    """A log is shown around; libraries write the URLs that they were given into it."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, its traceback included, without the secrets of URLs."""
        return hide_passwords(super().format(record))


class _FolderMakingHandler(logging.FileHandler):
    """A command that fails before it has anything to log leaves no folder behind.

    Where the log cannot be written, the work goes on without it; what is written besides will say
    so, if it is the disk.
    """

    problem: OSError | None = None
    """Why something was not logged."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record, if that is possible."""
        try:
            super().emit(record)
        except OSError as error:
            self.problem = error

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Keep what the system refused, which would else be a traceback for each record."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.problem = error
        else:
            super().handleError(record)

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
