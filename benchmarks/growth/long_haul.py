"""One driver for thousands of trials that train nothing: does it grow, and where?

    python -m benchmarks.growth.long_haul --at FOLDER [--trials 5000] [--every 100]
        [--on ray] [--store] [--plots FOLDER]

`search_spaces/best_single_lead.yaml` with ten epochs per trial and TPE, by the real study, ledger
and runner. After every so many trials: the driver's own memory, its open files and threads, the
size of the ledger, and the mean CPU time of a proposal, of the answer to a report, of an end, and
of the driver in all for a trial. Then the slope of each over the second half of the trials, as ten
thousand would go on. The same line again goes on where it was: rows of an earlier process are kept
beside, and drawn, but no slope goes over them. With --store the ledger is shipped to moto's S3
server, which starts empty each time.
"""

import argparse
import contextlib
import json
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from benchmarks.driver_load import running_store
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, Usage
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, driving
from mvkt_ray.search.ledger.sqlite_url import path_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location

from .long_studies import long_study, open_study
from .measured import Line, held_mb
from .no_op_trials import inputs_in, no_op

UNITS = {
    "memory": "MB",
    "files": "",
    "threads": "",
    "ledger": "MB",
    "propose": "ms",
    "answer": "ms",
    "end": "ms",
    "trial": "ms",
}


@dataclass
class Watched:
    """A study whose calls are timed, and whose driver is looked at now and then."""

    study: Study
    database: LedgerDatabase
    rows_file: Path
    every: int
    rows: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    """Of this process."""
    _took: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    _since: float = field(default_factory=time.process_time)
    _n_ended: int = 0

    def __post_init__(self) -> None:
        self._n_ended = sum(record.state.is_finished for record in self.study.trials())

    @property
    def config(self) -> StudyConfig:
        """The study's."""
        return self.study.config

    def ask(self) -> Trial | None:
        """Time a proposal."""
        return self._timed("propose", self.study.ask)

    def report(self, number: int, metrics: EpochMetrics, usage: Usage) -> Decision:
        """Time the answer to a report."""
        return self._timed("answer", lambda: self.study.report(number, metrics, usage))

    def tell(self, result: TrialResult, usage: Usage) -> None:
        """Time an end, and look at this process after some of them."""
        self._timed("end", lambda: self.study.tell(result, usage))
        self._n_ended += 1
        if self._n_ended % self.every == 0:
            self._look()

    def _timed(self, what: str, call: Callable[[], Any]) -> Any:
        # Of this thread's processor: whatever else runs on the machine makes no slope.
        started = time.thread_time()
        answer = call()
        self._took.setdefault(what, []).append(1e3 * (time.thread_time() - started))
        return answer

    def _look(self) -> None:
        now = time.process_time()
        path = path_of(self.database.url)
        assert path is not None
        row = {
            "trials": float(self._n_ended),
            "memory": held_mb(),
            "files": float(len(os.listdir("/proc/self/fd"))),
            "threads": float(threading.active_count()),
            "ledger": path.stat().st_size / 1e6,
            **{what: statistics.mean(took) for what, took in self._took.items()},
            "trial": 1e3 * (now - self._since) / self.every,
        }
        self._took.clear()
        self._since = now
        self.rows.append(row)
        with self.rows_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        words = [f"{name} {row[name]:,.1f} {unit}".rstrip() for name, unit in UNITS.items()]
        print(f"{self._n_ended:>7,}  {', '.join(words)}", flush=True)


@contextlib.contextmanager
def runner_on(where: str) -> Iterator[Runner]:
    """Open a runner of trials that train nothing."""
    if where == "ray":
        from mvkt_ray.on_ray.driver import OnRay

        with OnRay.connect(n_cpus=2, run_trial=no_op) as runner:
            yield runner
        return
    yield InProcess(run_trial=no_op)


def print_slopes(rows: list[dict[str, float]]) -> None:
    """Say how each number goes on by the second half of the trials, in which nothing starts."""
    half = rows[len(rows) // 2 :]
    if len(half) < 2:
        print("too few rows for slopes")
        return
    for name, unit in UNITS.items():
        line = Line.through({int(row["trials"]): row[name] for row in half if name in row})
        more = f"{1000 * line.slope:+.3f} {unit}".rstrip()
        print(f"{name:10} {half[-1][name]:10.2f} {unit:3} {more} for 1,000 trials more")


def draw(rows_file: Path, folder: Path) -> None:
    """Write one SVG for each number, over all trials of all processes."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in rows_file.read_text(encoding="utf-8").splitlines()]
    for name, unit in UNITS.items():
        figure = Figure((5, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([row["trials"] for row in rows], [row[name] for row in rows], ".-")
        axes.set(xlabel="trials", ylabel=unit, title=name, ylim=(0, None), xlim=(0, None))
        FigureCanvasSVG(figure).print_svg(str(folder / f"{name}.svg"))


def main() -> None:
    """Read the arguments, run what has not been run, and print the slopes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", type=Path, required=True, help="keep study and rows here")
    parser.add_argument("--trials", type=int, default=5000)
    parser.add_argument("--every", type=int, default=100, help="look after so many trials")
    parser.add_argument("--on", choices=("in-process", "ray"), default="in-process")
    parser.add_argument("--store", action="store_true", help="ship the ledger")
    parser.add_argument("--plots", type=Path, help="draw here")
    arguments = parser.parse_args()
    at = arguments.at.absolute()
    at.mkdir(parents=True, exist_ok=True)
    rows_file = at / "rows.jsonl"
    with (
        running_store() if arguments.store else contextlib.nullcontext(),
        runner_on(arguments.on) as runner,
    ):
        root = Location("s3://driver-load/long-haul") if arguments.store else Location.parse(at)
        with driving(StudyFolder(root)) as database:
            study = open_study(database, long_study(arguments.trials))
            watched = Watched(study, database, rows_file, arguments.every)
            runner.run_trials(watched, inputs_in(at), lambda: None)
            study.close()
    print_slopes(watched.rows)
    if arguments.plots is not None:
        draw(rows_file, arguments.plots)


if __name__ == "__main__":
    main()
