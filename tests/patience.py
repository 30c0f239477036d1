"""Waiting for what other processes do: by condition, for as long as a loaded machine may need."""

import subprocess
import time
from collections.abc import Callable

PATIENCE_S = 400.0
"""Ends a test that waits for what never comes; no test measures time by it."""


def wait_until(
    what: str, condition: Callable[[], object], process: subprocess.Popen[bytes] | None = None
) -> None:
    """Wait until something holds, which a process brings about unless it has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        has_ended = process is not None and process.poll() is not None
        # What it did last may have come between the two questions.
        assert not has_ended or condition(), f"ended by itself, before: {what}"
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.05)
