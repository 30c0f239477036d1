"""Lines of what a command waits for on a cluster, which else only its log would have."""

import contextlib
import logging
from collections.abc import Callable, Generator

WAITING = "mvkt_ray.on_ray.waiting"
"""Name of the logger: the module itself imports Ray's friends, and this one nothing."""


@contextlib.contextmanager
def telling_waits(say: Callable[[str], None]) -> Generator[None]:
    """Have somebody say what is waited for, while the block runs."""
    handler = _Teller(say)
    logger = logging.getLogger(WAITING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Teller(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
