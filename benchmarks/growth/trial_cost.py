"""What an epoch of a trial costs against recordings, leads, classes and the length of a crop.

    python -m benchmarks.growth.trial_cost [--at FOLDER] [--plots FOLDER] [--epochs 5]

A student of `sepconv1d_tiny` learns from labels, MKD and CRD, of made-up shards (noise, ten seconds
each) and made-up knowledge. One size at a time is changed from where all four begin. Each trial is
run in a process of its own by `run_trial`, so an epoch is everything from one report to the next:
loading, training, validation, metric, checkpoint. The first epoch is left out. Memory is the peak
above what the imports had taken, with mapped pages. With --at, what is there is not run again.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mvkt_ray.config.recipes import Hyperparameters, StudentConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.data.views import View
from mvkt_ray.distill.knowledge_parts import Answer, Part
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.records import Arm, Condition, Decision, EpochMetrics, Trial
from mvkt_ray.training.process import torch_threads
from mvkt_ray.training.student import TrialInputs, run_trial

from .made_up_shards import FOLDS, made_up_task, make_shards
from .measured import Growth, Line, peak_mb

N_SAMPLES = 1000
EMBEDDING_DIM = 64
STUDENT = Hyperparameters(student="sepconv1d_tiny", batch_size=64, n_negatives=128)


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Of what a trial is given; where all series begin."""

    recordings: int = 2000
    leads: int = 1
    classes: int = 5
    crop_samples: int = 250

    @property
    def file_name(self) -> str:
        """`2000-1-5-250.json`."""
        return "-".join(str(each) for each in asdict(self).values()) + ".json"


SERIES = {
    "recordings": (2000, 4000, 8000, 16_000),
    "leads": (1, 2, 6, 12),
    "classes": (5, 24, 71),
    "crop_samples": (125, 250, 500, 1000),
}


def inputs_of(size: Size, folder: Path, epochs: int) -> TrialInputs:
    """Return what a trial of this size is trained on."""
    view = View(
        leads=LEADS[: size.leads],
        crop_samples=size.crop_samples,
        grid_samples=125,
        stride_samples=size.crop_samples,
        mean_mv=0.0,
        std_mv=0.5,
    )
    return TrialInputs(
        shards=str(folder / "shards"),
        task=made_up_task(size.classes),
        folds=FOLDS,
        min_likelihood=0.0,
        view=view,
        student=StudentConfig(epochs=epochs),
        knowledge=str(folder / "knowledge"),
        teacher=None,
        study_seed=0,
        trials=str(folder / "trials"),
        precision="float32",
    )


def measure(inputs: TrialInputs) -> dict[str, Any]:
    """Run a trial in this process; return the seconds of its epochs, and its peak of memory."""
    trial = Trial(
        number=0,
        condition=Condition(leads=inputs.view.leads),
        arm=Arm.SEARCH,
        hyperparameters=asdict(STUDENT),
    )
    clock = [(time.process_time(), time.perf_counter())]

    def report(_metrics: EpochMetrics) -> Decision:
        clock.append((time.process_time(), time.perf_counter()))
        return Decision.CONTINUE

    before_mb = peak_mb()
    with torch_threads(1):
        run_trial(trial, inputs, report)
    cpu_s, wall_s = np.diff(np.array(clock), axis=0).T.tolist()
    return {"cpu_s": cpu_s, "wall_s": wall_s, "peak_mb": peak_mb() - before_mb}


def prepare(size: Size, inputs: TrialInputs) -> None:
    """Write shards and knowledge."""
    make_shards(
        Path(inputs.shards),
        size.recordings,
        leads=inputs.view.leads,
        n_samples=N_SAMPLES,
        n_classes=size.classes,
    )
    shards = open_shards(inputs.shards)
    split = open_training_splits(shards, inputs.task, inputs.folds).train
    n_crops = int(inputs.view.n_crops(N_SAMPLES))

    def say(part: Part) -> Answer:
        rng = np.random.default_rng(part.first_row)
        n = len(part.rows) * n_crops
        logits_RC, embedding_RD = (
            rng.normal(size=(n, width)).astype(np.float16)
            for width in (len(split.classes), EMBEDDING_DIM)
        )
        return Answer(
            first_row=part.first_row, n_crops=n, logits_RC=logits_RC, embedding_RD=embedding_RD
        )

    write_knowledge(
        str(inputs.knowledge),
        ask=say,
        shards=shards,
        split=split,
        view=inputs.view,
        teacher_fingerprint="0" * 64,
        embedding_dim=EMBEDDING_DIM,
    )


def found_in_own_process(size: Size, folder: Path, epochs: int) -> dict[str, Any]:
    """Return what `measure` finds of a size, from the file of an earlier run if there is one."""
    file = folder / size.file_name
    if not file.exists():
        with tempfile.TemporaryDirectory(prefix="mvkt-cost-") as scratch:
            # Not where the memory of the trial is looked at.
            prepare(size, inputs_of(size, Path(scratch), epochs))
            line = [sys.executable, "-m", "benchmarks.growth.trial_cost", "--epochs", str(epochs)]
            line += ["--measure", json.dumps(asdict(size)), "--at", scratch]
            said = subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout
        file.write_bytes(said)
    return json.loads(file.read_text(encoding="utf-8"))


def show_series(name: str, folder: Path, epochs: int, plots: Path | None) -> None:
    """Measure the sizes of a series, and print them with the line through them."""
    growth, peaks = Growth(), dict[int, float]()
    what = f"epoch by {name}"
    for value in SERIES[name]:
        found = found_in_own_process(replace(Size(), **{name: value}), folder, epochs)
        for cpu_s, wall_s in list(zip(found["cpu_s"], found["wall_s"], strict=True))[1:]:
            growth.note(what, value, cpu_s, wall_s)
        peaks[value] = found["peak_mb"]
        median = statistics.median(growth.cpu_s[what][value])
        print(f"{value:>8,} {name:14} {median:7.3f} s CPU {peaks[value]:8.1f} MB", flush=True)
    for unit, line in (("s CPU", growth.line(what)), ("MB", Line.through(peaks))):
        print(
            f"{'':8} line: {line.at_zero:.3f} + {line.slope:.3g} {unit} for each; off by at most "
            f"{line.largest_deviation:.1%} of the largest"
        )
    if plots is not None:
        growth.plot(plots, name.replace("_", " "))


def main() -> None:
    """Read the arguments, and measure series after series."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--at", type=Path, help="keep what was measured here")
    parser.add_argument("--plots", type=Path, help="draw here")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--measure", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        size = Size(**arguments.measure)
        print(json.dumps(measure(inputs_of(size, arguments.at, arguments.epochs))))
        return
    with tempfile.TemporaryDirectory(prefix="mvkt-cost-") as scratch:
        folder: Path = arguments.at or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in SERIES:
            show_series(name, folder, arguments.epochs, arguments.plots)


if __name__ == "__main__":
    main()
