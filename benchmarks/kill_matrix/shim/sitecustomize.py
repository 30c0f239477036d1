"""Kills a process at a write, as an environment variable says; does nothing without it.

On the path of a Python that a cell of the kill matrix starts, and of all that this starts. It hears
of every `os.rename`, by which all files of a study get their names, from Python's audit events, and
of every statement to a SQLite database from SQLite's trace. Standard library only: it runs before
all else.
"""

import contextlib
import json
import os
import signal
import sqlite3
import sqlite3.dbapi2
import sys
import time
from typing import Any

PLAN = "MVKT_KILL_PLAN"
"""JSON: column, phase, signal, victim, nth, mark, log."""


class Killer:
    """Waits for one write, and kills at it, once over all processes and all their successors."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.seen = 0
        self.statements: list[str] = []
        self.is_acting = False
        if not is_ray_worker():
            with contextlib.suppress(OSError):
                with open(f"{plan['mark']}.driver", "x", encoding="ascii") as stream:
                    stream.write(str(os.getpid()))

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Audit hook."""
        if self.is_acting:
            return
        if event == "os.rename":
            self.on_rename(os.fspath(args[0]), os.fspath(args[1]))

    def on_rename(self, source: str, target: str) -> None:
        """Act where a file is about to get the name that is waited for."""
        if column_of(target).endswith("checkpoint"):
            with open(self.plan["log"], "a", encoding="utf-8") as stream:
                stream.write(f"{target}\n")
        if column_of(target) != self.plan["column"] or not self.is_turn():
            return
        self.is_acting = True
        phase = self.plan["phase"]
        # Who lives on, because it handles the signal or because another one is killed, goes on
        # writing what it has: there before and during are the moment before the file has its name.
        dies = self.plan["victim"] == "self" and self.plan["signal"] == "SIGKILL"
        if phase == "after":
            os.replace(source, target)
        elif dies and phase == "before":
            os.unlink(source)
        elif dies:
            os.truncate(source, os.path.getsize(source) // 2)
        self.kill()
        if phase == "after":
            # Of a signal that is handled: what follows finds the file in its place.
            with open(source, "wb"), open(target, "rb") as written:
                content = written.read()
            with open(source, "wb") as again:
                again.write(content)
        self.is_acting = False

    def on_statement(self, text: str) -> None:
        """Act at the commit of a transaction of the kind that is waited for."""
        word = text.split(None, 1)[0].upper() if text.strip() else ""
        phase, is_opening = self.plan["phase"], self.plan["column"] == "opening"
        if word == "BEGIN":
            self.statements = []
        elif word in ("INSERT", "UPDATE"):
            concerned = not is_opening or "opening" in text
            if phase == "before" and concerned and not self.statements and self.is_turn():
                self.kill()
            if concerned:
                self.statements.append(word)
        elif word == "COMMIT" and self.statements:
            if phase == "during" and self.is_turn():
                self.kill()
            self.statements = ["COMMITTED"] if phase == "after" else []
        elif self.statements == ["COMMITTED"]:
            self.statements = []
            if self.is_turn():
                self.kill()

    def is_turn(self) -> bool:
        """Whether this is the write to act at, in this process."""
        self.seen += 1
        if self.seen < self.plan["nth"]:
            return False
        with contextlib.suppress(FileExistsError), open(self.plan["mark"], "x") as stream:
            stream.write(f"{os.getpid()} {self.plan['victim']}")
            return True
        return False

    def kill(self) -> None:
        """End the victim, and wait for the end where it is this process or above it."""
        number = signal.Signals[self.plan["signal"]]
        for pid in victims(self.plan["victim"], self.plan["mark"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number is signal.SIGKILL and self.plan["victim"] in ("self", "node"):
            time.sleep(60)


def column_of(target: str) -> str:
    """Say what kind of file this is, as the columns of the matrix are called."""
    folder, name = os.path.split(target)
    if name.endswith(".pt"):
        return "teacher's checkpoint" if name.startswith(".checkpoint-") else "checkpoint"
    if name == "manifest.json":
        return "manifest"
    if name in ("validation.arrow", "test.arrow", "teacher_test.arrow"):
        return "predictions"
    if name.endswith(".arrow"):
        return "knowledge" if "knowledge" in folder else "shard"
    if name.endswith(".safetensors"):
        return "teacher" if "teacher" in os.path.basename(folder) else "student"
    return {"result.json": "result", "report.json": "report"}.get(name, "other")


def is_ray_worker() -> bool:
    """Whether Ray started this process."""
    return any("default_worker" in word or "setup_worker" in word for word in sys.argv)


def victims(name: str, mark: str) -> list[int]:
    """Find the processes to kill, the one that is to go first in front."""
    if name == "self":
        return [os.getpid()]
    if name == "driver":
        with open(f"{mark}.driver", encoding="ascii") as stream:
            return [int(stream.read())]
    import psutil

    raylet = psutil.Process(os.getppid())
    if name == "raylet":
        return [raylet.pid]
    beside = raylet.children(recursive=True)
    if name == "node":
        own = os.getpid()
        return [raylet.pid, *(each.pid for each in beside if each.pid != own), own]
    title = {"controller": "TrainController", "rank 1": "RayTrainWorker"}[name]
    return [
        process.pid
        for process in beside
        if process.pid != os.getpid() and any(title in word for word in process.cmdline()[:1])
    ]


def listen(plan: dict[str, Any]) -> None:
    """Hear of renamings, and of what is said to databases."""
    killer = Killer(plan)
    sys.addaudithook(killer.hear)
    if plan["column"] not in ("ledger", "opening"):
        return
    connect = sqlite3.dbapi2.connect

    def traced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection = connect(*args, **kwargs)
        connection.set_trace_callback(killer.on_statement)
        return connection

    sqlite3.connect = sqlite3.dbapi2.connect = traced


if PLAN in os.environ:
    listen(json.loads(os.environ[PLAN]))
