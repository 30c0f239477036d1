"""Where the seconds of `mvkt search` go that train nothing: its start, between trials, its end.

A study of eight short trials on PTB-XL, two at a time, on a Ray of its own. Every step that trains
notes its time, and so does every line that the command says. Checkouts take turns within each
round, so that whatever else the machine does, it does to all.

    python benchmarks/start_up.py --ptbxl FOLDER [--rounds 3] [CHECKOUT ...]

Without a CHECKOUT it is the one that the package is installed from.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import yaml

EVENTS = "MVKT_START_UP_EVENTS"
"""Names the file that all processes append to."""
STUDY = {
    "name": "start_up",
    "data": {
        "source": "ptbxl",
        "sampling_rate_hz": 100,
        "task": "superdiagnostic",
        "folds": {"train": [1, 2], "val": [8], "test": [9]},
    },
    "teacher": {"network": "xresnet1d18", "epochs": 2},
    "student": {"epochs": 2},
    "space": {"student": "xresnet1d18", "kd_weight": {"low": 0.1, "high": 10.0, "log": True}},
    "search": {
        "leads": ["II", "V5"],
        "n_trials": 8,
        "baselines": [],
        "sampler": "random",
        "pruner": {"kind": "none"},
    },
    "resources": {"max_concurrent_trials": 2},
}

Event = dict[str, Any]


def main() -> None:
    """Run the rounds and print the medians."""
    arguments = parse_arguments()
    if arguments.one is not None:
        search(arguments.ptbxl, arguments.one)
        return
    here = str(Path(__file__).resolve().parents[1])
    checkouts = [str(Path(each).resolve()) for each in arguments.checkouts] or [here]
    seen: dict[str, list[dict[str, float]]] = {each: [] for each in checkouts}
    for number in range(arguments.rounds):
        for checkout in checkouts:
            seen[checkout].append(stages(one_round(checkout, arguments.ptbxl)))
            print(
                f"round {number + 1}, {checkout}: {seen[checkout][-1]['whole']:.1f} s", flush=True
            )
    print("| stage | " + " | ".join(f"{Path(each).name}, s" for each in checkouts) + " |")
    print("|---|" + "---:|" * len(checkouts))
    for name in seen[checkouts[0]][0]:
        medians = (statistics.median(each[name] for each in seen[one]) for one in checkouts)
        print(f"| {name} | " + " | ".join(f"{each:.2f}" for each in medians) + " |")


def one_round(checkout: str, ptbxl: str) -> list[Event]:
    """Run the search by the code of a checkout; return what was noted, in order."""
    with tempfile.TemporaryDirectory(prefix="mvkt-start-up-") as folder:
        events = Path(folder) / "events.jsonl"
        env = {**os.environ, "PYTHONPATH": checkout, EVENTS: str(events)}
        line = [sys.executable, __file__, "--ptbxl", ptbxl, "--one", str(Path(folder) / "study")]
        started = time.time()
        subprocess.run(line, env=env, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        ended = time.time()
        noted = [json.loads(each) for each in events.read_text().splitlines()]
    noted += [{"what": "begin", "at": started}, {"what": "exit", "at": ended}]
    return sorted(noted, key=lambda event: event["at"])


def stages(events: list[Event]) -> dict[str, float]:
    """Return the seconds of each stage."""

    def at(what: str, *, last: bool = False) -> float:
        found = [each["at"] for each in events if each["what"].startswith(what)]
        return found[-1 if last else 0]

    ends = {
        "to the first line": at("checking the study"),
        "checking the study": at("starting Ray"),
        "starting Ray": at("shards: ingest"),
        "ingest": at("teacher: train"),
        "to the teacher's process": at("teacher begins"),
        "to the teacher's first step": at("teacher's step"),
        "its steps": at("teacher's step", last=True),
        "to its end": at("teacher: done"),
        "knowledge": at("knowledge: done"),
        "to the first trial's process": at("trial begins"),
        "to the trial's first step": at("trial's step"),
        "trials": at("trial ends", last=True),
        "to the end of the session": at("done in"),
        "Ray's end, and reading for the report": at("making the report"),
        "report": at("reported"),
        "exit": at("exit"),
    }
    times = [at("begin"), *ends.values()]
    spans = zip(ends, times[:-1], times[1:], strict=True)
    found = {name: after - before for name, before, after in spans}
    found["between trials: last step to the next first step"] = between(events)
    found["whole"] = at("exit") - at("begin")
    return found


def between(events: list[Event]) -> float:
    """Return the median time from a trial's last step to the first of the next in its process."""
    gaps: list[float] = []
    for pid in {each["pid"] for each in events if each["what"] == "trial begins"}:
        last_step: float | None = None
        begun = False
        for event in (each for each in events if each.get("pid") == pid):
            if event["what"] == "trial begins":
                begun = True
            elif event["what"] == "trial's step":
                if begun and last_step is not None:
                    gaps.append(event["at"] - last_step)
                begun, last_step = False, event["at"]
    return statistics.median(gaps)


def note(what: str) -> None:
    """Append an event to the file that all processes share."""
    event = {"what": what, "at": time.time(), "pid": os.getpid()}
    with open(os.environ[EVENTS], "a", encoding="utf-8") as file:
        file.write(f"{json.dumps(event)}\n")


@contextmanager
def noting_steps(whose: str) -> Generator[None]:
    """Note the beginning of each step that is trained."""
    from mvkt_ray.training.learner import Learner

    forward = Learner.forward

    def noted(self: Learner, *batch: Any) -> Any:
        note(f"{whose}'s step")
        return forward(self, *batch)

    note(f"{whose} begins")
    with mock.patch.object(Learner, "forward", noted):
        yield
    note(f"{whose} ends")


def noted_trial(*arguments: Any) -> Any:
    """Train a trial."""
    from mvkt_ray.training.student import run_trial

    with noting_steps("trial"):
        return run_trial(*arguments)


def noted_teacher(*arguments: Any) -> Any:
    """Train a teacher."""
    from mvkt_ray.training.teacher import train_teacher

    with noting_steps("teacher"):
        return train_teacher(*arguments)


def search(ptbxl: str, out: str) -> None:
    """Call the command in this process; what it says and trains is noted."""
    from mvkt_ray.cli import main as mvkt
    from mvkt_ray.display.console import Output

    say, answer = Output.say, Output.answer

    def noted_say(self: Output, text: Any) -> None:
        note(str(text))
        say(self, text)

    def noted_answer(self: Output, *arguments: Any) -> None:
        answer(self, *arguments)
        note("reported")

    study = Path(f"{out}.yaml")
    study.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    sys.argv = ["mvkt", "search", str(study), "--data", ptbxl, "--out", out]
    with (
        mock.patch.object(Output, "say", noted_say),
        mock.patch.object(Output, "answer", noted_answer),
        when_connected(),
    ):
        mvkt()


@contextmanager
def when_connected() -> Generator[None]:
    """Have the runner train by the functions that note."""
    from mvkt_ray.on_ray.driver import OnRay

    connect: Callable[..., OnRay] = OnRay.connect

    def noted_connect(*arguments: Any, **named: Any) -> OnRay:
        noted = {"run_trial": noted_trial, "train_teacher": noted_teacher}
        return connect(*arguments, **named, **noted)

    with mock.patch.object(OnRay, "connect", noted_connect):
        yield


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ptbxl", required=True, help="folder of PTB-XL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("checkouts", nargs="*")
    arguments = parser.parse_args()
    arguments.ptbxl = str(Path(arguments.ptbxl).resolve())
    return arguments


if __name__ == "__main__":
    if any(each.info["name"] == "raylet" for each in psutil.process_iter(["name"])):
        print("Another Ray runs on this machine: times are not what they would be alone.")
    main()
