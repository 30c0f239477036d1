"""How the cost of a search's steps grows with its trials: straight lines, or flat ones.

    python -m benchmarks.growth [--trials 1000 3000 10000] [--plots FOLDER] [--report STUDY]

Ledgers of made-up trials of ten epochs, as a search leaves them (`long_studies`), then the calls of
a driver that goes on with each: opening it, a proposal by TPE, the report of an epoch, an end,
whether it is time for a look of a race, and the state that `mvkt status` and the live table show.
With --report also a study's folder around each ledger and its `mvkt report`, by the shards and the
teacher of a study that has ended, such as `mvkt demo` leaves. With --plots a drawing of each.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mvkt_ray.delivery.write_report import write_report
from mvkt_ray.display.state_reader import StateReader
from mvkt_ray.records import Arm, Decision, EpochMetrics
from mvkt_ray.search.choosing.racing import Race
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.study import Study

from .long_studies import (
    EPOCHS,
    check_copy,
    ended,
    long_study,
    macro_auroc,
    make_ledger,
    noise,
    open_study,
)
from .measured import Growth
from .study_folders import make_study_folder

N_TIMED = 20
"""Trials that are run after those that were made up."""
N_OPENED = 3


def main() -> None:
    """Read the arguments, measure each size, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--plots", type=Path, help="draw here")
    parser.add_argument("--report", type=Path, help="folder of a study that has ended")
    arguments = parser.parse_args()
    growth = Growth()
    with tempfile.TemporaryDirectory(prefix="mvkt-growth-") as name:
        check_copy(Path(name))
        for n_trials in arguments.trials:
            folder = Path(name) / str(n_trials)
            folder.mkdir()
            measure_driver(growth, make_ledger(folder, long_study(n_trials)), n_trials)
            if arguments.report is not None:
                study = make_study_folder(folder / "study", arguments.report, n_trials)
                growth.timed("report", n_trials, write_report, study)
            print(f"{n_trials} trials are measured", flush=True)
    growth.print("trials")
    if arguments.plots is not None:
        growth.plot(arguments.plots, "trials")


def measure_driver(growth: Growth, database: LedgerDatabase, n_trials: int) -> None:
    """Go on with a study of so many trials, and time every call."""
    config = long_study(n_trials + N_TIMED)
    for _ in range(N_OPENED):
        growth.timed("reopen", n_trials, open_study, database, config).close()
    study = open_study(database, config)
    reader = growth.timed("first state", n_trials, _read, StateReader(study, EPOCHS))
    race = Race(study.conditions, [Arm(name) for name in config.search.baselines], noise)
    while race.take_look(study.trials()) is not None:
        pass
    for _ in _run_timed(growth, n_trials, study):
        growth.timed("is it time for a look", n_trials, race.take_look, study.trials())
        growth.timed("state", n_trials, _read, reader)
    study.close()


def _read(reader: StateReader) -> StateReader:
    reader.read()
    return reader


def _run_timed(growth: Growth, n_trials: int, study: Study) -> Iterator[None]:
    """Run trials one after the other, and yield after each."""
    while (trial := growth.timed("propose", n_trials, study.ask)) is not None:
        decision, epoch = Decision.CONTINUE, 0
        while decision is Decision.CONTINUE and epoch < EPOCHS:
            epoch += 1
            metrics = EpochMetrics(epoch=epoch, macro_auroc=macro_auroc(trial, epoch))
            decision = growth.timed(
                "report an epoch", n_trials, study.report, trial.number, metrics
            )
        growth.timed("end", n_trials, study.tell, ended(trial, epoch, decision))
        yield


if __name__ == "__main__":
    main()
