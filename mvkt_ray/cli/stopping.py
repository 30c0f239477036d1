"""A verb that is told to stop: by Ctrl-C, by `kill`, by a batch system before its time is up.

SIGINT and SIGTERM mean the same: come to a clean end, once. Whoever sends a second one does not
want to wait for that.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Generator
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

SAME_REQUEST_S = 1.0
"""`timeout`, for one, signals its child and then the child's whole group: that is one request."""


@contextlib.contextmanager
def stopping_cleanly() -> Generator[None]:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt meanwhile; a second ends at once.

    SIGINT counts even where it was ignored when the process started, as it is for a process that a
    script starts with `&`: nobody sends it to such a process by accident.
    """
    if threading.current_thread() is not threading.main_thread():
        # Python delivers signals to the main thread only; whoever runs that decides.
        yield
        return
    handler = _StopOnce()
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, its_handler in before.items():
            signal.signal(number, its_handler)


class _StopOnce:
    """The handler of both signals."""

    def __init__(self) -> None:
        self._asked_at: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            raise KeyboardInterrupt
        if now - self._asked_at > SAME_REQUEST_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
