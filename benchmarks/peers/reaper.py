"""Runs a command and waits for everything that it started, so that nothing of it goes uncounted.

    python -m benchmarks.peers.reaper USAGE.json COMMAND ...

Orphans of the command become children of this process (Linux's child subreaper), so their processor
time and bytes are added up here, too. It ends with its parent, and ends what it has started.

A child of a process that ignores SIGCHLD, as Ray's raylet does, is never waited for: the kernel
drops its sums. `measuring` samples those.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

GRACE_S = 10.0
"""For what the command has left running, before it is told to end, and again before it must."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Run the command; exit as it did."""
    usage_file, command = Path(sys.argv[1]), sys.argv[2:]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started_s, clock_s = time.time(), time.monotonic()
    reaped: list[int] = []
    signals = (signal.SIGTERM, signal.SIGKILL)
    try:
        child = subprocess.Popen(command)
        code = wait_for(child.pid, reaped)
        wall_s = time.monotonic() - clock_s
    except BaseException:
        end_descendants(signals, reaped)
        raise
    end_descendants((None, *signals), reaped)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    usage = {
        "started_s": started_s,
        "wall_s": wall_s,
        "cpu_s": spent.ru_utime + spent.ru_stime,
        "reaped": reaped,
        **io_of(os.getpid()),
    }
    usage_file.write_text(json.dumps(usage))
    sys.exit(code)


def wait_for(child: int, reaped: list[int]) -> int:
    """Wait for a child, and meanwhile for orphans; return its exit code."""
    while True:
        pid, status = os.wait()
        reaped.append(pid)
        if pid == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def end_descendants(signals: Sequence[signal.Signals | None], reaped: list[int]) -> None:
    """Wait for all that is left, after each of these signals to it; None lets it end by itself."""
    for sent in signals:
        if sent is not None:
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(sent)
        deadline_s = time.monotonic() + GRACE_S
        while time.monotonic() < deadline_s:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid:
                reaped.append(pid)
            else:
                time.sleep(0.05)


def io_of(pid: int) -> dict[str, int]:
    """Read what a process, and the children that it has waited for, have read and written."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    values = {name: int(value) for name, value in (line.split(": ") for line in lines)}
    return {name: values[name] for name in ("rchar", "wchar", "read_bytes", "write_bytes")}


if __name__ == "__main__":
    main()
