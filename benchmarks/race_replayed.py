"""What a race of conditions would have saved in a study that dealt all of them as many trials.

    python benchmarks/race_replayed.py STUDY [--replays 500] [--as-if 2183]

Looks compare the first trials of each condition, so the race can be run again over a finished
study. Each replay deals its real search trials in another order, with their real predictions on
the validation split; a condition that is stopped gets no more of them. Counted are the trials that
all conditions would have been dealt, and how often the best conditions are never stopped. A
sampler would have proposed other hyper-parameters in another order: the replay shuffles what it
has proposed. With `--as-if N` the covariance of scores is that of N validation recordings of the
same kind, in which it is inversely proportional; the scores stay as they are.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mvkt_ray.records import Arm
from mvkt_ray.search.choosing.racing import Look, Race
from mvkt_ray.search.choosing.validation_noise import ValidationNoise
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions
from mvkt_ray.training.trial_files import TrialFolder


def main() -> None:
    """Replay the race, and print what was seen."""
    arguments = parse_arguments()
    folder = StudyFolder(Location.parse(arguments.study))
    _, study = open_study(folder)
    noise = Noise.over(study, folder, arguments.as_if)
    records = study.trials()
    n_balanced = sum(record.trial.arm is Arm.SEARCH for record in records)
    rng = np.random.default_rng(0)
    seen = [replay(study, noise, rng.permutation) for _ in range(arguments.replays)]
    as_run = replay(study, noise, np.arange)
    print(f"{len(records)} trials, of which {n_balanced} search trials")
    print(f"in the order they ran: {describe(as_run)}")
    shares = np.array([each.n_dealt for each in seen]) / n_balanced
    low, middle, high = np.percentile(shares, [5, 50, 95])
    print(f"search trials dealt, part of the balanced: {middle:.2f} ({low:.2f} to {high:.2f})")
    for name in best_conditions(records):
        kept = np.mean([name in each.running for each in seen])
        print(f"{name} still runs at the end in {kept:.3f} of {len(seen)} replays")


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """One race."""

    n_dealt: int
    """Search trials of all conditions."""
    running: tuple[str, ...]
    """Conditions that were never stopped."""
    looks: tuple[Look, ...]


class Noise:
    """The covariance of all complete trials, of which each look takes a part."""

    def __init__(self, numbers: Sequence[int], covariance: np.ndarray) -> None:
        self._at = {number: at for at, number in enumerate(numbers)}
        self._covariance = covariance

    @classmethod
    def over(cls, study: Study, folder: StudyFolder, as_if: int | None) -> "Noise":
        """Measure it from the predictions of a study's trials."""
        complete = [each.number for each in study.trials() if each.macro_auroc is not None]
        covariance = ValidationNoise(folder.trials)(complete)
        first = read_predictions(TrialFolder.of(folder.trials, complete[0]).validation)
        n_recordings = len(first.labels_NC)
        return cls(complete, covariance * n_recordings / (as_if or n_recordings))

    def of(self, numbers: Sequence[int]) -> np.ndarray:
        """Return the part of some trials."""
        at = [self._at[number] for number in numbers]
        return self._covariance[np.ix_(at, at)]


def replay(study: Study, noise: Noise, order: Callable[[int], np.ndarray]) -> Replayed:
    """Race once, with the search trials of each condition in another order.

    Args:
        study: Finished.
        noise: Of its trials.
        order: Gives the order of so many trials.
    """
    searched: dict[str, list[TrialRecord]] = {each.name: [] for each in study.conditions}
    baselines: list[TrialRecord] = []
    for record in study.trials():
        (searched[record.condition] if record.trial.arm is Arm.SEARCH else baselines).append(record)
    waiting = {name: [own[at] for at in order(len(own))] for name, own in searched.items()}
    dealt: list[TrialRecord] = []
    origin: list[int] = []

    def deal(record: TrialRecord) -> None:
        origin.append(record.number)
        dealt.append(replace(record, trial=replace(record.trial, number=len(dealt))))

    for record in baselines:
        deal(record)
    race = Race(
        study.conditions,
        [Arm(name) for name in study.config.search.baselines],
        lambda numbers: noise.of([origin[number] for number in numbers]),
    )
    for depth in range(max(len(own) for own in waiting.values()) + 1):
        race.take_look(dealt)
        for condition in race.running:
            if depth < len(waiting[condition.name]):
                deal(waiting[condition.name][depth])
    running = tuple(condition.name for condition in race.running)
    return Replayed(n_dealt=len(dealt) - len(baselines), running=running, looks=race.looks)


def best_conditions(records: Sequence[TrialRecord], n: int = 4) -> list[str]:
    """Return the conditions with the highest scores of a search trial, best first."""
    bests: dict[str, float] = {}
    for record in records:
        if record.trial.arm is Arm.SEARCH and record.macro_auroc is not None:
            bests[record.condition] = max(bests.get(record.condition, 0.0), record.macro_auroc)
    return sorted(bests, key=lambda name: -bests[name])[:n]


def describe(replayed: Replayed) -> str:
    """Say what a race stopped, and after how many trials of each condition."""
    looks = "; ".join(
        f"after {look.n_compared} of each: stopped "
        f"{', '.join(stop.condition for stop in look.stopped) or 'none'}"
        for look in replayed.looks
    )
    return f"{looks}; {replayed.n_dealt} search trials, running {', '.join(replayed.running)}"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="folder of a finished study with conditions: balanced")
    parser.add_argument("--replays", type=int, default=500)
    parser.add_argument("--as-if", type=int, help="validation recordings")
    return parser.parse_args()


if __name__ == "__main__":
    main()
