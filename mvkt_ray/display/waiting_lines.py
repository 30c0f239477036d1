"""Shows log messages on waiting, which otherwise only the log file has, as lines of progress."""

import contextlib
import logging
from collections.abc import Callable, Generator

FOR_CLUSTER = ("mvkt_ray.on_ray.waiting",)
"""Loggers on waiting for nodes of a cluster; names, as importing the module imports Ray."""

FOR_LEDGER = ("mvkt_ray.search.ledger.lease", "mvkt_ray.search.ledger.ledger_shipping")
"""Loggers on waiting for the lease of a study in an object store, and for the store."""


@contextlib.contextmanager
def showing_waits(say: Callable[[str], None], loggers: tuple[str, ...]) -> Generator[None]:
    """Show the warnings of waiting modules while the block runs.

    Args:
        say: Function that shows a line.
        loggers: Names of the modules' loggers.
    """
    handler, waiting = _LineHandler(say), [logging.getLogger(name) for name in loggers]
    for logger in waiting:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in waiting:
            logger.removeHandler(handler)


class _LineHandler(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
