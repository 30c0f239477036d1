"""Lines of what a command waits for, which else only its log would have."""

import contextlib
import logging
from collections.abc import Callable, Generator

FOR_CLUSTER = ("mvkt_ray.on_ray.waiting",)
"""Names of loggers: the module itself imports Ray's friends, and this one nothing."""

FOR_LEDGER = ("mvkt_ray.search.ledger.lease", "mvkt_ray.search.ledger.ledger_shipping")
"""Of a study in an object store: who drives it, and whether the store answers."""


@contextlib.contextmanager
def telling_waits(say: Callable[[str], None], loggers: tuple[str, ...]) -> Generator[None]:
    """Have somebody say what is waited for, while the block runs.

    Args:
        say: Given each line.
        loggers: Of the modules that wait.
    """
    handler, waiting = _Teller(say), [logging.getLogger(name) for name in loggers]
    for logger in waiting:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in waiting:
            logger.removeHandler(handler)


class _Teller(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
