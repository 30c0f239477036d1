"""A person's machine for tests of clusters: commands in a home and a temporary folder of their own.

Also a way there that can be cut: a proxy, as a network that goes away.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HIDDEN = ("RAY_", "MVKT_")
"""Beginnings of the variables that it does not have."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Runs `mvkt`, each time in a process of its own."""

    folder: Path

    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(HIDDEN)}
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder)}
        # Ray's default lets workers starve beside anything else that runs on the machine.
        return {**kept, **own, "OMP_NUM_THREADS": "1", "RAY_worker_niceness": "0"}

    def start(self, *words: object, log: Path) -> subprocess.Popen[bytes]:
        """Start a command whose output goes to a file, and its stderr to another one beside it."""
        with log.open("wb") as stdout, log.with_suffix(".err").open("wb") as stderr:
            return subprocess.Popen(
                self._line(words), env=self.environment(), stdout=stdout, stderr=stderr
            )

    def run(self, *words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self._line(words), env=self.environment(), capture_output=True, text=True
        )
        assert done.returncode == expect, f"{words}: {done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    @staticmethod
    def _line(words: tuple[object, ...]) -> list[str]:
        return [sys.executable, "-m", "mvkt_ray", *map(str, words)]


@contextlib.contextmanager
def asleep(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Let a process stand still, as everything does while a laptop sleeps."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


class Network:
    """Leads from a port of its own to another one, until it is cut, and after it is mended."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self._target = port, target
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None

    def mend(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        assert self._listener is not None
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = listener.accept()
                there = socket.create_connection(("127.0.0.1", self._target))
                self._open += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=_copy, args=pair, daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)
