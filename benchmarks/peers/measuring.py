"""What a command costs with everything that it starts: wall, processor, memory, bytes.

Memory is the sum over the process tree of the proportional set size, which counts a shared page
once; it is looked at once a second. Bytes are those of system calls (`rchar`, `wchar`), from the
page cache or not; what is read through memory maps is in no count. Processes that nobody waits for
(see `reaper`) count by their last look, so up to a second of each is lost.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.peers.reaper import io_of

LOOK_EVERY_S = 1.0
_SUMMED = ("cpu_s", "rchar", "wchar", "read_bytes", "write_bytes")


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """Of one command."""

    started_s: float
    """Seconds since 1970."""
    wall_s: float
    cpu_s: float
    peak_bytes: int
    rchar: int
    """Read by system calls."""
    wchar: int
    """Written by system calls."""
    read_bytes: int
    """Read from disks."""
    write_bytes: int
    """Written to disks, sooner or later."""


class CommandFailedError(Exception):
    """The command has ended with another code than 0."""


def measured(command: Sequence[str], env: Mapping[str, str], folder: Path) -> Usage:
    """Run a command in a folder, its output in `log.txt` there.

    Raises:
        CommandFailedError: It failed; the text has the end of its output.
    """
    usage_file, log = folder / "usage.json", folder / "log.txt"
    reaper = [sys.executable, "-m", "benchmarks.peers.reaper", str(usage_file), *command]
    looks = _Looks()
    with log.open("wb") as output:
        # In a session of its own: Ctrl-C reaches the reaper through this process alone.
        process = subprocess.Popen(
            reaper, env=env, cwd=folder, stdout=output, stderr=output, start_new_session=True
        )
        try:
            while process.poll() is None:
                looks.look(process.pid)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=LOOK_EVERY_S)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()
    if process.returncode:
        tail = log.read_text(errors="replace")[-3000:]
        raise CommandFailedError(f"{tail}\nexit code {process.returncode}")
    whole = json.loads(usage_file.read_text())
    reaped = set(whole.pop("reaped"))
    for name in _SUMMED:
        whole[name] += sum(each[name] for pid, each in looks.unwaited.items() if pid not in reaped)
    return Usage(**whole, peak_bytes=looks.peak_bytes)


class _Looks:
    """Looks at a process tree now and then."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.unwaited: dict[int, dict[str, float]] = {}
        """The last look at each process whose parent will not wait for it."""

    def look(self, root: int) -> None:
        """Look once."""
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(root).children(recursive=True):
                with contextlib.suppress(psutil.Error, OSError):
                    total += process.memory_full_info().pss
                    if _ignores_children(process.ppid()):
                        cpu = process.cpu_times()
                        seen = {"cpu_s": cpu.user + cpu.system, **io_of(process.pid)}
                        self.unwaited[process.pid] = seen
        self.peak_bytes = max(self.peak_bytes, total)


def _ignores_children(pid: int) -> bool:
    """Whether a process ignores SIGCHLD, so that the kernel waits for its children itself."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigIgn:"):
            return bool(int(line.split()[1], 16) & 1 << (signal.SIGCHLD - 1))
    return False


def environment(root: Path, ray_folder: str) -> dict[str, str]:
    """Return the environment of a contender: nobody's threads are set from outside."""
    unset = ("OMP_NUM_THREADS", "RAY_ADDRESS")
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return kept | {
        "PYTHONPATH": str(root),
        "RAY_TMPDIR": ray_folder,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
