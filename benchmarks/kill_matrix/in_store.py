"""Kills a driver at a write to its object store: at the store's side, where its requests arrive.

What is killed is the command, not the store: a write that has arrived may be carried out though
whoever sent it is gone, and that is what *during* means here. *Before*: it never is. *After*: it
was carried out and answered.
"""

import contextlib
import os
import re
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import psutil

from benchmarks.kill_matrix.shim.sitecustomize import column_of

_OF_LEDGER = {
    r"/ledger/[^/]+/wal-\d+$": "piece",
    r"/ledger/[^/]+/snapshot\.db$": "snapshot",
    r"/ledger/head\.json$": "head",
    r"/ledger/lease\.json$": "lease",
}


@dataclass
class StoreKiller:
    """Put around a store's application: hears of every object that is written, and kills at one."""

    plan: dict[str, Any]
    """As the shim's: column, phase, signal, nth, mark, log."""
    pid: int = 0
    """Of the command; known after it was started."""
    _n_seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def around(self, store: Any) -> Callable[..., Iterable[bytes]]:
        """Answer as the store does, until it is the turn of the write that is waited for."""

        def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            key = _written_key(environ)
            if key is None:
                return store(environ, start)
            column = column_of_key(key)
            is_checkpoint = column in ("checkpoint", "teacher's checkpoint")
            acts = column == self.plan["column"] and self._is_turn()
            phase, is_final = self.plan.get("phase"), self.plan.get("signal") == "SIGKILL"
            if acts and phase != "after":
                self._kill()
                if phase == "before" and is_final:
                    start("503 Service Unavailable", [("Content-Length", "0")])
                    return []
            said = list(store(environ, start))
            if is_checkpoint:
                with self._lock, open(self.plan["log"], "a", encoding="utf-8") as stream:
                    stream.write(f"{key}\n")
            if acts and phase == "after":
                # The answer is on its way when the victim falls.
                threading.Timer(0.02, self._kill).start()
            return said

        return answer

    def _is_turn(self) -> bool:
        with self._lock:
            self._n_seen += 1
            if self._n_seen != self.plan["nth"] or Path(self.plan["mark"]).exists():
                return False
            Path(self.plan["mark"]).write_text(f"{self.pid}")
            return True

    def _kill(self) -> None:
        """Send the signal; where nobody handles it, wait for the end."""
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            victim = psutil.Process(self.pid)
            os.kill(self.pid, signal.Signals[self.plan["signal"]])
            while self.plan["signal"] == "SIGKILL" and victim.status() != psutil.STATUS_ZOMBIE:
                threading.Event().wait(0.01)


def column_of_key(key: str) -> str:
    """Say what kind of object this is, as the columns of the matrix are called."""
    of_ledger = (column for pattern, column in _OF_LEDGER.items() if re.search(pattern, key))
    return next(of_ledger, None) or column_of(key)


def _written_key(environ: dict[str, Any]) -> str | None:
    """Return the key of an object that this request puts there; None for all others."""
    asked = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    is_whole = environ["REQUEST_METHOD"] == "PUT" and "partNumber" not in asked
    is_last = environ["REQUEST_METHOD"] == "POST" and "uploadId" in asked
    _, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    return key if key and (is_whole or is_last) else None
