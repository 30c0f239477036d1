"""Runs a cell: begins, kills, goes on to the end, and compares with the run that nobody killed."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.kill_matrix.cells import PHASES, SIGNALS, Cell
from benchmarks.kill_matrix.scenes import SCENES, Scene

SHIM = Path(__file__).parent / "shim"
MOST_STARTS = 4
"""After the first; one is enough unless something is wrong."""
PATIENCE_S = 900


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a cell."""

    verdict: str
    """`same`, `not reached`, or what was wrong."""
    n_starts: int
    """Commands until the end, the killed one included."""
    lost_epochs: int
    """Trained more often than in the run that nobody killed."""
    n_kills: int = 1

    @property
    def is_good(self) -> bool:
        """Whether the cell holds what it should."""
        return self.verdict == "same" and self.lost_epochs <= self.n_kills


class Matrix:
    """A folder with what cells begin with, and what must come out."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def run(self, cell: Cell) -> Outcome:
        """Run one cell from a fresh copy to its end."""
        scene = SCENES[cell.of.verb]
        base = self._base(scene)
        expected, n_epochs = self._expected(cell.of.verb, scene, base)
        with tempfile.TemporaryDirectory(prefix="mvkt-kill-") as scratch:
            folder = Path(scratch) / "run"
            scene.begin(base, folder)
            return self._killed(cell, scene, folder, Path(scratch), expected, n_epochs)

    def run_at_random(self, verb: str, columns: Sequence[str], n_kills: int, seed: int) -> Outcome:
        """Kill one run again and again, at writes that are drawn, and let it end.

        Args:
            verb: Of the scene.
            columns: Writes to draw from.
            n_kills: How often it is killed, if it does not come to its end before.
            seed: Of what is drawn.
        """
        scene = SCENES[verb]
        base = self._base(scene)
        expected, n_epochs = self._expected(verb, scene, base)
        draw = random.Random(seed)
        with tempfile.TemporaryDirectory(prefix="mvkt-kill-") as scratch:
            folder, log = Path(scratch) / "run", Path(scratch) / "epochs.txt"
            scene.begin(base, folder)
            n_killed, starts = 0, 0
            ended = _Ended(code=-signal.SIGKILL, text="")
            while ended.code != 0 and starts < n_kills + MOST_STARTS:
                mark = Path(scratch) / f"killed-{starts}"
                plan = {
                    "column": draw.choice(columns) if n_killed < n_kills else "none",
                    "phase": draw.choice(PHASES),
                    "signal": draw.choice(SIGNALS),
                    "victim": draw.choice(("self", "driver")),
                    "nth": draw.randint(1, 4),
                    "mark": str(mark),
                    "log": str(log),
                }
                words = [*scene.line(folder), *(scene.again if starts else ())]
                ended = self._start(words, Path(scratch), plan)
                starts, n_killed = starts + 1, n_killed + mark.exists()
                if "Traceback" in ended.text:
                    break
            verdict = _verdict(ended, scene, folder, expected)
            lost = _n_epochs(log) - n_epochs
        return Outcome(verdict=verdict, n_starts=starts, lost_epochs=lost, n_kills=n_killed)

    def _killed(
        self, cell: Cell, scene: Scene, folder: Path, scratch: Path, expected: Any, n_epochs: int
    ) -> Outcome:
        plan = {
            "column": cell.column,
            "phase": cell.phase,
            "signal": cell.signal,
            "victim": cell.of.victim,
            "nth": cell.nth,
            "mark": str(scratch / "killed"),
            "log": str(scratch / "epochs.txt"),
        }
        starts = 1
        ended = self._start(scene.line(folder), scratch, plan)
        if not (scratch / "killed").exists():
            return Outcome(verdict=f"not reached{ended.told}", n_starts=starts, lost_epochs=0)
        # A driver that goes on beside a killed worker ends by itself, and is done.
        while ended.code != 0 and "Traceback" not in ended.text and starts <= MOST_STARTS:
            words = [*scene.line(folder), *scene.again]
            ended = self._start(words, scratch, {**plan, "column": "none"})
            starts += 1
        lost = _n_epochs(scratch / "epochs.txt") - n_epochs
        verdict = _verdict(ended, scene, folder, expected)
        return Outcome(verdict=verdict, n_starts=starts, lost_epochs=lost)

    def _base(self, scene: Scene) -> Path:
        """Return the folder in which what a scene needs was done; none where it needs nothing."""
        name = "after " + ", ".join(scene.needs)
        base = self.root / name
        if not scene.needs or base.exists():
            return base
        last = SCENES[scene.needs[-1]]
        making = self.root / f"{name}.making"
        shutil.rmtree(making, ignore_errors=True)
        last.begin(self._base(last) if last.needs == scene.needs[:-1] else Path("-"), making)
        self._expect_well(last.line(making), making)
        making.rename(base)
        return base

    def _expected(self, verb: str, scene: Scene, base: Path) -> tuple[Any, int]:
        """Return what a scene comes to when nobody is killed, and its epochs."""
        file = self.root / f"expected of {verb}.json"
        if not file.exists():
            with tempfile.TemporaryDirectory(prefix="mvkt-kill-") as scratch:
                folder = Path(scratch) / "run"
                scene.begin(base, folder)
                log = Path(scratch) / "epochs.txt"
                plan = {"column": "none", "log": str(log), "mark": f"{scratch}/killed"}
                self._expect_well(scene.line(folder), Path(scratch), plan)
                found = {"facts": _plain(scene.facts(folder), folder), "epochs": _n_epochs(log)}
                self.root.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(found))
        found = json.loads(file.read_text())
        return found["facts"], found["epochs"]

    def _expect_well(
        self, words: list[str], scratch: Path, plan: dict[str, Any] | None = None
    ) -> None:
        ended = self._start(words, scratch, plan)
        if ended.code != 0:
            raise RuntimeError(f"mvkt {' '.join(words)} ended with {ended.code}{ended.told}")

    def _start(self, words: list[str], scratch: Path, plan: dict[str, Any] | None) -> "_Ended":
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
        if plan is not None:
            environment["PYTHONPATH"] = str(SHIM)
            environment["MVKT_KILL_PLAN"] = json.dumps(plan)
        with tempfile.TemporaryFile(mode="w+", dir=scratch) as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "mvkt_ray", *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=Path(__file__).parents[2],
                start_new_session=True,
            )
            try:
                code = process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                code = -signal.SIGALRM
            finally:
                # What a killed driver left of its Ray is ours to end.
                _end_session(process.pid)
                process.wait()
            output.seek(0)
            return _Ended(code=code, text=output.read())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ended:
    code: int
    text: str

    @property
    def told(self) -> str:
        """The end of what it printed, on one line."""
        last = " ".join(self.text.split())[-300:]
        return f": {last}" if last else ""


def _verdict(ended: _Ended, scene: Scene, folder: Path, expected: Any) -> str:
    if ended.code != 0:
        kind = "traceback" if "Traceback" in ended.text else f"exit {ended.code}"
        return f"{kind}{ended.told}"
    return "same" if _plain(scene.facts(folder), folder) == expected else "another result"


def _end_session(leader: int) -> None:
    import psutil

    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.pid != leader:
                process.kill()
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    try:
        os.kill(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def _n_epochs(log: Path) -> int:
    """Count epochs that were trained: each ends with its checkpoint, written or not."""
    return Counter(log.read_text().splitlines()).total() if log.exists() else 0


def _plain(value: Any, folder: Path) -> Any:
    """Return it as JSON gives it back, and as if it had been somewhere else."""
    return json.loads(json.dumps(value).replace(str(folder), "FOLDER"))
