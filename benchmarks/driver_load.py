"""What one report, one end and one proposal cost the driver, with ledgers of several sizes.

    python -m benchmarks.driver_load [--records 100 1000 10000] [--store]

A study is filled with made-up trials, then the driver's own calls are timed: `report` (an epoch),
`finish` (an end), `ask` (a proposal by TPE), opening it again, and the size of its ledger.
With --store the ledger is shipped to moto's S3 server, which runs in a process of its own; requests
per call are counted. Everything a search does in the driver's one thread is in these calls, so
their sum is what limits how many trials one driver can serve.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, PrunerConfig, SearchConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.on_ray.connecting.environment import environment
from mvkt_ray.records import EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.ledger_shipping import Shipment
from mvkt_ray.search.ledger.shipped_ledger import claim
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from tests.begun_study import begun_study

EPOCHS = 15
TIMED_TRIALS = 12
"""Trials of a study of each size whose calls are timed."""
SERVER = """
import json, sys
from tests.object_store import serve
servers = serve()
server = next(servers)
print(json.dumps(server.environment), flush=True)
for line in sys.stdin:
    if line == "bucket\\n":
        server.make_bucket("driver-load")
    print(len(server.asked("PUT", "ledger/")), flush=True)
"""


@dataclass
class Times:
    """Seconds on the wall and of CPU that calls took."""

    wall_s: list[float] = field(default_factory=list[float])
    cpu_s: list[float] = field(default_factory=list[float])

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call, and note how long it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        answer = function(*arguments)
        self.cpu_s.append(time.process_time() - cpu)
        self.wall_s.append(time.perf_counter() - wall)
        return answer

    def __str__(self) -> str:
        wall_ms, cpu_ms = (1e3 * statistics.median(each) for each in (self.wall_s, self.cpu_s))
        return f"{wall_ms:8.2f} ms wall {cpu_ms:8.2f} ms CPU (medians of {len(self.wall_s)})"


def study_config(*, sampler: Any, n_trials: int) -> StudyConfig:
    """A study of twelve leads and five hyper-parameters."""
    ranges = {
        "learning_rate": (1e-3, 3e-2),
        "kd_weight": (0.1, 10.0),
        "distill_temperature": (1.0, 8.0),
        "clt_weight": (1e-3, 0.3),
        "dropout": (0.01, 0.5),
    }
    return StudyConfig(
        name="driver_load",
        student=StudentConfig(epochs=EPOCHS),
        space={
            k: ParameterConfig(low=low, high=high, log=True) for k, (low, high) in ranges.items()
        },
        search=SearchConfig(
            n_trials=n_trials, sampler=sampler, pruner=PrunerConfig(kind="none"), baselines=()
        ),
    )


def open_study(
    folder: Path, config: StudyConfig, *, resume: bool, root: Location | None
) -> tuple[Study, Shipment | None]:
    """Open a study on a local ledger, shipped to a store if there is one."""
    database = folder / "ledger.db"
    shipment = None if root is None else Shipment(root, database, claim(root))
    study = begun_study(
        config,
        SearchSpace.from_config(config, LEADS),
        LedgerDatabase(f"sqlite:///{database}", shipment),
        resume=resume,
        inputs={"shards": "0" * 64},
    )
    return study, shipment


def auroc(trial: Trial, epoch: int) -> float:
    """What a made-up student reaches."""
    return 0.8 + 0.02 * float(trial.hyperparameters["dropout"]) - 0.1 / (epoch + trial.number % 7)


def train(study: Study, trial: Trial, report: Times, finish: Times) -> None:
    """Report all epochs of a trial, and end it."""
    for epoch in range(1, EPOCHS + 1):
        report.call(
            study.report, trial.number, EpochMetrics(epoch=epoch, macro_auroc=auroc(trial, epoch))
        )
    result = TrialResult(
        number=trial.number,
        state=TrialState.COMPLETE,
        macro_auroc=auroc(trial, EPOCHS),
        per_class_auroc={name: 0.8 for name in ("NORM", "MI", "STTC", "CD", "HYP")},
        epochs=EPOCHS,
        wall_s=60.0,
        node="node/00000000",
    )
    finish.call(study.tell, result)


def fill(folder: Path, n_records: int) -> None:
    """Make a study with so many trials that have ended; epochs of one in ten are told."""
    study, _ = open_study(
        folder, study_config(sampler="random", n_trials=n_records), resume=False, root=None
    )
    while (trial := study.ask()) is not None:
        if trial.number % 10 == 0:
            train(study, trial, Times(), Times())
        else:
            study.tell(
                TrialResult(
                    number=trial.number,
                    state=TrialState.PRUNED,
                    macro_auroc=auroc(trial, 3),
                    epochs=3,
                )
            )
    study.close()


def measure(n_records: int, store: "Store | None") -> None:
    """Fill a study, and print what its calls cost from there on."""
    with tempfile.TemporaryDirectory(prefix="mvkt-load-") as name:
        folder = Path(name)
        fill(folder, n_records)
        n_bytes = (folder / "ledger.db").stat().st_size
        print(
            f"{n_records} trials: ledger of {n_bytes / 1e6:.2f} MB, "
            f"{n_bytes / n_records:.0f} bytes each"
        )
        # Random proposals first: the configuration of a study is kept, but for its sampler.
        config = study_config(sampler="random", n_trials=n_records + TIMED_TRIALS)
        opening, report, finish, propose = Times(), Times(), Times(), Times()
        root = None if store is None else store.root / str(n_records)
        study, shipment = opening.call(lambda: open_study(folder, config, resume=True, root=root))
        study.config = replace(config, search=replace(config.search, sampler="tpe"))
        puts = 0 if store is None else store.n_puts()
        while (trial := propose.call(study.ask)) is not None:
            train(study, trial, report, finish)
        propose.wall_s.pop()
        propose.cpu_s.pop()
        for what, times in (
            ("open", opening),
            ("report", report),
            ("finish", finish),
            ("propose", propose),
        ):
            print(f"  {what:8} {times}")
        if store is not None:
            print(
                f"  PUTs per trial of {EPOCHS} epochs: {(store.n_puts() - puts) / TIMED_TRIALS:.2f}"
            )
        study.close()
        if shipment is not None:
            shipment.close()


@dataclass
class Store:
    """A server in another process."""

    process: "subprocess.Popen[str]"
    root: Location

    def n_puts(self) -> int:
        """How many objects of ledgers were written."""
        return int(ask(self.process, "count"))


def ask(process: "subprocess.Popen[str]", word: str) -> str:
    """Say a word to the server's process, and hear its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{word}\n")
    process.stdin.flush()
    return process.stdout.readline()


@contextlib.contextmanager
def running_store() -> Iterator[Store]:
    """Run moto's S3 server in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        with environment(json.loads(process.stdout.readline())):
            ask(process, "bucket")
            yield Store(process, Location("s3://driver-load/ledger"))
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Read the arguments, and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--store", action="store_true", help="ship the ledger")
    arguments = parser.parse_args()
    with running_store() if arguments.store else contextlib.nullcontext() as store:
        for n_records in arguments.records:
            measure(n_records, store)


if __name__ == "__main__":
    main()
