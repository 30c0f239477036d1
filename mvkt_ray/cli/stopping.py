"""A verb that is told to stop: by Ctrl-C, by `kill`, by a batch system before its time is up.

The first SIGINT or SIGTERM asks for a clean end; a second one ends the process at once.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

SAME_REQUEST_S = 1.0
"""`timeout`, for one, signals its child and then the child's whole group: that is one request."""

_AGAIN_AFTER_S = 0.1


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
    report_lost = sys.unraisablehook

    def on_lost(lost: "sys.UnraisableHookArgs") -> None:
        if not (isinstance(lost.exc_value, KeyboardInterrupt) and handler.ask_again()):
            report_lost(lost)

    sys.unraisablehook = on_lost
    try:
        yield
    finally:
        sys.unraisablehook = report_lost
        for number, its_handler in before.items():
            signal.signal(number, its_handler)


class _StopOnce:
    """The handler of both signals."""

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at, self._number = now, number
            raise KeyboardInterrupt
        if now - self._asked_at > SAME_REQUEST_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def ask_again(self) -> bool:
        """Send the signal once more, as its KeyboardInterrupt was lost; False: there was none.

        It is lost where Python lets no exception out: in a destructor, or in the callback of a weak
        reference, of which a database connection has several.
        """
        if self._asked_at is None:
            return False
        self._asked_at = None
        threading.Timer(_AGAIN_AFTER_S, os.kill, (os.getpid(), self._number)).start()
        return True
