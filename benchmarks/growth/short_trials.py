"""What a search costs beside its trials: `mvkt search` and plain Ray Tune, thousands of short ones.

    python -m benchmarks.growth.short_trials --at FOLDER [--trials 100 300 1000] [--only ours tune]

A trial is one epoch of `sepconv1d_tiny` over a few hundred synthetic recordings with cached
knowledge: a fraction of a second. All run the same function, `run_trial`, two at a time:

    ours        `mvkt search`, TPE, nothing pruned
    tune        Ray Tune, OptunaSearch (`short_trials_by_tune`), actors reused as ours are
    tune-fresh  the same with Tune's default, an actor for each trial
    bare        a loop in one process, without proposals: what the trials themselves take

Processor time is that of the whole process tree; a run's slope over the numbers of trials is what
one more trial takes, starting left out. What is there already is not run again.
"""

import argparse
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.bench import ROOT
from benchmarks.peers.measuring import environment, measured
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location

from .measured import Growth
from .short_trials_by_tune import N_AT_ONCE, RANGES

CONTENDERS = ("ours", "tune", "tune-fresh", "bare")
STUDY = {
    "name": "short_trials",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 400},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8], "test": [9, 10]},
    },
    "view": {"crop_s": 2.5, "grid_s": 2.5, "stride_s": 5.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1},
    "student": {"epochs": 1, "knowledge": "cached"},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 64,
        "clt_weight": 0.0,
        **{name: {"low": low, "high": high, "log": True} for name, (low, high) in RANGES.items()},
    },
    "search": {"leads": ["II", "V5"], "baselines": [], "pruner": {"kind": "none"}},
    "resources": {"max_concurrent_trials": N_AT_ONCE, "precision": "float32"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What one contender took for so many trials."""

    contender: str
    n_trials: int
    at: Path

    @property
    def file(self) -> Path:
        """What is kept of it."""
        return self.at / f"{self.contender}-{self.n_trials}.json"

    def take(self) -> dict[str, Any]:
        """Return usage and when trials ended, from an earlier run if there was one."""
        if not self.file.exists():
            work = self.at / "running"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            # Ray's sockets need a short path.
            with tempfile.TemporaryDirectory(prefix="short-", ignore_cleanup_errors=True) as name:
                usage = measured(self._command(work), environment(ROOT, name), work)
            found = {"cpu_s": usage.cpu_s, "wall_s": usage.wall_s, "peak_bytes": usage.peak_bytes}
            found["ended_s"] = self._ended(work)
            partial = self.file.with_suffix(".partial")
            partial.write_text(json.dumps(found), encoding="utf-8")
            partial.replace(self.file)
        return json.loads(self.file.read_text(encoding="utf-8"))

    def _command(self, work: Path) -> list[str]:
        if self.contender == "ours":
            return search_command(work, self.at / "base", self.n_trials)
        script = [sys.executable, "-m", "benchmarks.growth.short_trials_by_tune", self.contender]
        return [*script, str(self.n_trials), str(self.at / "base" / "study"), str(work)]

    def _ended(self, work: Path) -> list[float]:
        if self.contender == "ours":
            _, study = open_study(StudyFolder(Location.parse(work / "study")))
            ended = [each.ended_at.timestamp() for each in study.trials() if each.ended_at]
            study.close()
        else:
            ended = json.loads((work / "ended.json").read_text(encoding="utf-8"))
        assert len(ended) == self.n_trials
        return sorted(ended)


def search_command(work: Path, base: Path | None, n_trials: int) -> list[str]:
    """Write the study, and return the line that searches; by shards and teacher of another."""
    study = work / "study.json"  # JSON is YAML
    search = {**STUDY["search"], "n_trials": n_trials}
    study.write_text(json.dumps({**STUDY, "search": search}), encoding="utf-8")
    line = [sys.executable, "-m", "mvkt_ray", "search", str(study), "--out", str(work / "study")]
    if base is not None:
        line += ["--data", str(base / "study" / "shards")]
        line += ["--teacher", str(base / "study" / "teacher")]
    return line


def prepare(at: Path) -> None:
    """Make shards, teacher and knowledge for all, by a search of two trials."""
    base = at / "base"
    if (base / "done").exists():
        return
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="short-", ignore_cleanup_errors=True) as name:
        measured(search_command(base, None, 2), environment(ROOT, name), base)
    (base / "done").touch()


def per_trial_s(ended_s: list[float]) -> tuple[float, float]:
    """Return the seconds between ends in the second and in the last quarter of a run."""
    quarter = len(ended_s) // 4
    quarters = (ended_s[quarter : 2 * quarter + 1], ended_s[-quarter - 1 :])
    second, last = ((each[-1] - each[0]) / (len(each) - 1) for each in quarters)
    return second, last


def main() -> None:
    """Read the arguments, run what has not been run, and print all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", type=Path, required=True, help="keep what was measured here")
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 300, 1000])
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=CONTENDERS)
    parser.add_argument("--plots", type=Path, help="draw here")
    arguments = parser.parse_args()
    at = arguments.at.absolute()
    prepare(at)
    growth = Growth()
    for n_trials in arguments.trials:
        for contender in arguments.only:
            found = Run(contender=contender, n_trials=n_trials, at=at).take()
            growth.note(contender, n_trials, found["cpu_s"], found["wall_s"])
            second, last = per_trial_s(found["ended_s"])
            print(
                f"{n_trials:>6,} {contender:10} {found['cpu_s']:8.1f} s CPU {found['wall_s']:8.1f} "
                f"s wall, peak {found['peak_bytes'] / 1e6:,.0f} MB; between ends, second quarter "
                f"{second:.2f} s, last {last:.2f} s",
                flush=True,
            )
    if len(arguments.trials) > 1:
        for contender in arguments.only:
            line = growth.line(contender)
            print(
                f"{contender:10} {line.at_zero:.1f} s CPU to start, {line.slope:.3f} s for a trial;"
                f" off the line by at most {line.largest_deviation:.1%} of the largest"
            )
    if arguments.plots is not None:
        growth.plot(arguments.plots, "trials")


if __name__ == "__main__":
    main()
