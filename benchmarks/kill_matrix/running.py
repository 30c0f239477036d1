"""Runs a cell: begins, kills, goes on to the end, and compares with the run that nobody killed."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.kill_matrix.cells import PHASES, SIGNALS, Cell
from benchmarks.kill_matrix.in_store import StoreKiller
from benchmarks.kill_matrix.scenes import SCENES, Scene
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server, serve

SHIM = Path(__file__).parent / "shim"
WITHOUT_IMAGES = Path(__file__).parent / "without_images.py"
BUCKET = "kills"
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
        self._servers = serve()
        self._server: S3Server | None = None

    def run(self, cell: Cell) -> Outcome:
        """Run one cell from a fresh copy to its end."""
        scene = SCENES[cell.of.verb]
        base = self._base(scene)
        expected, n_epochs = self._expected(cell.of.verb, scene, base)
        with self._begun(scene, base) as run:
            return self._killed(cell, scene, run, expected, n_epochs)

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
        with self._begun(scene, base) as run:
            n_killed, starts = 0, 0
            ended = _Ended(code=-signal.SIGKILL, text="")
            while ended.code != 0 and starts < n_kills + MOST_STARTS:
                mark = run.scratch / f"killed-{starts}"
                plan = {
                    "column": draw.choice(columns) if n_killed < n_kills else "none",
                    "phase": draw.choice(PHASES),
                    "signal": draw.choice(SIGNALS),
                    "victim": draw.choice(("self", "driver")),
                    "nth": draw.randint(1, 4),
                    "mark": str(mark),
                    "log": str(run.epochs),
                }
                ended = self._start(scene, run, plan, goes_on=starts > 0)
                starts, n_killed = starts + 1, n_killed + mark.exists()
                if "Traceback" in ended.text:
                    break
            verdict = _verdict(ended, scene, run, expected)
            lost = run.n_epochs - n_epochs
        return Outcome(verdict=verdict, n_starts=starts, lost_epochs=lost, n_kills=n_killed)

    def _killed(
        self, cell: Cell, scene: Scene, run: "_Run", expected: Any, n_epochs: int
    ) -> Outcome:
        mark = run.scratch / "killed"
        plan = {
            "column": cell.column,
            "phase": cell.phase,
            "signal": cell.signal,
            "victim": cell.of.victim,
            "nth": cell.nth,
            "mark": str(mark),
            "log": str(run.epochs),
        }
        starts = 1
        ended = self._start(scene, run, plan)
        if not mark.exists():
            return Outcome(verdict=f"not reached{ended.told}", n_starts=starts, lost_epochs=0)
        # A driver that goes on beside a killed worker ends by itself, and is done.
        while ended.code != 0 and "Traceback" not in ended.text and starts <= MOST_STARTS:
            ended = self._start(scene, run, {**plan, "column": "none"}, goes_on=True)
            starts += 1
        lost = run.n_epochs - n_epochs
        verdict = _verdict(ended, scene, run, expected)
        return Outcome(verdict=verdict, n_starts=starts, lost_epochs=lost)

    def _base(self, scene: Scene) -> Path:
        """Return the folder in which what a scene needs was done; none where it needs nothing."""
        name = "after " + ", ".join(scene.needs)
        base = self.root / name
        if not scene.needs or base.exists():
            return base
        last = SCENES[scene.needs[-1]]
        below = self._base(last) if last.needs == scene.needs[:-1] else Path("-")
        with self._begun(last, below) as run:
            self._expect_well(last, run)
            if scene.is_in_store:
                self._fetch(run.store, run.folder / "store")
            shutil.copytree(run.folder, f"{base}.making", dirs_exist_ok=True)
        Path(f"{base}.making").rename(base)
        return base

    def _expected(self, verb: str, scene: Scene, base: Path) -> tuple[Any, int]:
        """Return what a scene comes to when nobody is killed, and its epochs."""
        file = self.root / f"expected of {verb}.json"
        if not file.exists():
            with self._begun(scene, base) as run:
                plan = {"column": "none", "log": str(run.epochs), "mark": f"{run.scratch}/killed"}
                self._expect_well(scene, run, plan)
                found = {"facts": run.facts(scene), "epochs": run.n_epochs}
                self.root.mkdir(parents=True, exist_ok=True)
                file.write_text(json.dumps(found))
        found = json.loads(file.read_text())
        return found["facts"], found["epochs"]

    @contextlib.contextmanager
    def _begun(self, scene: Scene, base: Path) -> Iterator["_Run"]:
        """Make the folders of a run from what was made before; they last as long as the block."""
        with tempfile.TemporaryDirectory(prefix="mvkt-kill-") as scratch:
            run = _Run(scratch=Path(scratch))
            scene.begin(base, run.folder)
            if scene.is_in_store:
                self._start_server()
                run = replace(run, store=Location(f"s3://{BUCKET}/{Path(scratch).name}"))
                content = run.folder / "store"
                for file in content.rglob("*") if content.exists() else ():
                    if file.is_file():
                        name = file.relative_to(content).as_posix()
                        (run.place / name).write_bytes(file.read_bytes())
            yield run
            if run.store is not None:
                run.store.delete_tree()

    def _start_server(self) -> None:
        """Begin to be an S3 server, which this process and all commands use from now on."""
        if self._server is None:
            self._server = next(self._servers)
            self._server.make_bucket(BUCKET)
            os.environ.update(self._server.environment)

    @staticmethod
    def _fetch(store: Location | None, folder: Path) -> None:
        assert store is not None
        for name in store.file_sizes():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes((store / name).read_bytes())

    def _expect_well(self, scene: Scene, run: "_Run", plan: dict[str, Any] | None = None) -> None:
        if scene.ends_at:
            place = {"column": scene.ends_at, "phase": "before", "nth": 1}
            end = {"victim": "self", "signal": "SIGKILL"}
            files = {"mark": f"{run.scratch}/killed", "log": str(run.epochs)}
            plan = {**place, **end, **files}
        ended = self._start(scene, run, plan)
        if ended.code != (-signal.SIGKILL if scene.ends_at else 0):
            raise RuntimeError(f"mvkt {' '.join(scene.words)} ended with {ended.code}{ended.told}")

    def _start(
        self, scene: Scene, run: "_Run", plan: dict[str, Any] | None, *, goes_on: bool = False
    ) -> "_Ended":
        environment = {"OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"}
        killer = None
        if scene.is_in_store:
            assert self._server is not None
            environment["MVKT_CACHE_DIR"] = str(run.scratch / "cache")
            self._server.around = lambda application: application
            if plan is not None:
                killer = StoreKiller(plan)
                self._server.around = killer.around
        elif plan is not None:
            environment["PYTHONPATH"] = str(SHIM)
            environment["MVKT_KILL_PLAN"] = json.dumps(plan)
        with contextlib.ExitStack() as stack:
            address = ""
            if scene.n_nodes:
                from tests.on_ray.own_cluster import own_cluster  # Ray, which few scenes need here

                cluster = own_cluster(scene.n_nodes, environ=environment, num_cpus=0)
                address = str(stack.enter_context(cluster).address)
            output = stack.enter_context(tempfile.TemporaryFile(mode="w+", dir=run.scratch))
            words = [*scene.line(run.folder, run.store, address), *(scene.again if goes_on else ())]
            is_report = plan is not None and plan["column"] == "report"
            start = ["-m", "mvkt_ray"] if is_report else [str(WITHOUT_IMAGES)]
            process = subprocess.Popen(
                [sys.executable, *start, *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                cwd=Path(__file__).parents[2],
                start_new_session=True,
            )
            if killer is not None:
                killer.pid = process.pid
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
class _Run:
    """Where one run of a scene is."""

    scratch: Path
    store: Location | None = None

    @property
    def folder(self) -> Path:
        """On this disk."""
        return self.scratch / "run"

    @property
    def place(self) -> Location:
        """What the scene writes to."""
        return self.store or Location.parse(self.folder)

    @property
    def epochs(self) -> Path:
        """A line for each epoch that was trained: it ends with its checkpoint, written or not."""
        return self.scratch / "epochs.txt"

    @property
    def n_epochs(self) -> int:
        """How many were trained so far."""
        return len(self.epochs.read_text().splitlines()) if self.epochs.exists() else 0

    def facts(self, scene: Scene) -> Any:
        """Return what came out, as JSON gives it back, and as if it had been somewhere else."""
        text = json.dumps(scene.facts(self.place))
        return json.loads(
            text.replace(str(self.place), "PLACE").replace(str(self.folder), "FOLDER")
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Ended:
    code: int
    text: str

    @property
    def told(self) -> str:
        """The end of what it printed, on one line."""
        last = " ".join(self.text.split())[-300:]
        return f": {last}" if last else ""


def _verdict(ended: _Ended, scene: Scene, run: _Run, expected: Any) -> str:
    if ended.code != 0:
        kind = "traceback" if "Traceback" in ended.text else f"exit {ended.code}"
        return f"{kind}{ended.told}"
    return "same" if run.facts(scene) == expected else "another result"


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
