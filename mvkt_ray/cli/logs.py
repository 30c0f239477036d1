"""Where logs go: files under the output, never the terminal. Logging is configured here only."""

import contextlib
import logging
from collections.abc import Generator
from pathlib import Path

DRIVER_LOG = "driver.log"


@contextlib.contextmanager
def logging_to(folder: Path) -> Generator[Path]:
    """Append the logs of mvkt-ray, Ray and Optuna, and Python's warnings, to a file meanwhile.

    Args:
        folder: Made when it is not there; the file in it is `driver.log`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DRIVER_LOG
    handler = logging.FileHandler(path, encoding="utf-8")
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
