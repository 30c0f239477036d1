"""Sends logs to files in the output folder, never to the terminal; the only logging configuration.

Writes: `driver.log`, with the logs of Python code; `ray-native.log`, with the stderr of Ray's C++
code.
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
    """Append logs of mvkt-ray, Ray and Optuna, and Python's warnings, to `driver.log`.

    Args:
        folder: Folder of the file, created with its first line.
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
    """Redirect C++ code's output on file descriptor 2 to a file, as it would garble the live table.

    Python's `sys.stderr` still writes to the original destination.

    Args:
        folder: Folder of `ray-native.log`, created if missing; None discards the output.
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
        # Tests and notebooks replace the stream by one without a descriptor.
        return False


class _WithoutPasswords(logging.Formatter):
    """Hides passwords: libraries log URLs, and users share logs."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, its traceback included, without the secrets of URLs."""
        return hide_passwords(super().format(record))


class _FolderMakingHandler(logging.FileHandler):
    """Creates the folder with the first record, so that early failures leave none behind.

    If the log cannot be written, the work continues without it; a failing disk is reported by other
    writes.
    """

    problem: OSError | None = None
    """Last error of logging."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record, or note the error."""
        try:
            super().emit(record)
        except OSError as error:
            self.problem = error

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's own name)
        """Note an error of the system, instead of printing a traceback for each record."""
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
    """Replace libraries' own handlers, which write to the terminal, by the root's handlers.

    Only handlers that exist now, of imported libraries, are removed; records of loggers that are
    configured later reach the root by propagation.
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
