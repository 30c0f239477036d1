"""What bf16 does to scores: the same students trained in float32 and in bf16, paired by seed.

    python benchmarks/bf16_scores.py --shards DIR --teacher DIR --knowledge DIR --out DIR \
        --study STUDY.yaml [--leads I,II,V5] [--seeds 5] [--processes 2]

Shards, teacher and knowledge are those of a study (`mvkt search`, or `ingest`, `train-teacher` and
`cache`). Each pair differs in nothing but the precision; seeds are repetitions of one trial. A
trial that has ended is not trained again, so a killed run goes on. Reported: the paired difference
of the validation macro AUROC, its 95 % interval by Student's t over pairs, and beside it how much
two float32 seeds of a lead differ.
"""

import argparse
import json
import math
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import scipy.stats
import torch

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_study
from mvkt_ray.records import Arm, Condition, Decision, Trial
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.stages import prepare
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import TrialInputs, run_trial

PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True)
class Training:
    """One student of the comparison."""

    lead: str
    seed: int
    precision: str


def main() -> None:
    """Train all pairs and print the comparison."""
    arguments = parse_arguments()
    leads = arguments.leads.split(",")
    trainings = [
        Training(lead, seed, precision)
        for seed in range(arguments.seeds)
        for lead in leads
        for precision in PRECISIONS
    ]
    with ProcessPoolExecutor(arguments.processes) as pool:
        scores = dict(zip(trainings, pool.map(partial(train, arguments), trainings), strict=True))
    Path(arguments.out, "scores.json").write_text(
        json.dumps([[t.lead, t.seed, t.precision, score] for t, score in scores.items()], indent=1)
    )
    print(report(scores, leads, arguments.seeds))


def train(arguments: argparse.Namespace, training: Training) -> float:
    """Train one student, or read what it came to, and return its validation macro AUROC."""
    torch.set_num_threads(1)
    config = read_study(arguments.study)
    trial, inputs = make_trial(arguments, config, training)
    result = run_trial(trial, inputs, lambda _metrics: Decision.CONTINUE)
    print(training, f"{result.macro_auroc:.4f}, {result.wall_s:.1f} s", flush=True)
    if result.macro_auroc is None:
        raise SystemExit(f"{training} ended as {result.state}: {result.reason}")
    return result.macro_auroc


def make_trial(
    arguments: argparse.Namespace, config: StudyConfig, training: Training
) -> tuple[Trial, TrialInputs]:
    """Return a trial with the middle of the study's space as its hyper-parameters."""
    prepared = prepare(config, Location.parse(arguments.shards))
    space = SearchSpace.from_config(config, prepared.shards.leads)
    # The middle of the space, with the method's loss in place of the plain one.
    hyperparameters = space.baseline(Arm.PLAIN_KD) | {"kd_loss": "multilabel_kd"}
    trial = Trial(
        number=training.seed,
        condition=Condition(leads=(training.lead,)),
        arm=Arm.SEARCH,
        hyperparameters=hyperparameters,
        repetition=training.seed,
    )
    folder = Path(arguments.out) / training.lead / training.precision
    inputs = TrialInputs(
        shards=arguments.shards,
        task=prepared.task,
        folds=config.data.folds,
        min_likelihood=config.data.min_likelihood,
        view=prepared.view,
        student=config.student,
        knowledge=arguments.knowledge,
        teacher=arguments.teacher,
        study_seed=config.seed,
        trials=str(folder),
        precision=training.precision,
    )
    return trial, inputs


def report(scores: dict[Training, float], leads: list[str], n_seeds: int) -> str:
    """Return the table."""
    lines = ["| lead | float32 | bf16 | bf16 - float32 | sd of float32 seeds |"]
    lines.append("|---|---|---|---|---|")
    differences: list[float] = []
    for lead in leads:
        by_precision = {
            precision: [scores[Training(lead, seed, precision)] for seed in range(n_seeds)]
            for precision in PRECISIONS
        }
        pairs = zip(by_precision["float32"], by_precision["bf16"], strict=True)
        own = [other - one for one, other in pairs]
        differences += own
        means = [statistics.fmean(by_precision[precision]) for precision in PRECISIONS]
        lines.append(
            f"| {lead} | {means[0]:.4f} | {means[1]:.4f} | {statistics.fmean(own):+.4f} | "
            f"{statistics.stdev(by_precision['float32']):.4f} |"
        )
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = float(scipy.stats.t.ppf(0.975, len(differences) - 1)) * error
    lines.append(
        f"\nall {len(differences)} pairs: {mean:+.4f}, 95 % interval {mean - half:+.4f} to "
        f"{mean + half:+.4f}"
    )
    return "\n".join(lines)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--shards", "--teacher", "--knowledge", "--out", "--study"):
        parser.add_argument(name, required=True)
    parser.add_argument("--leads", default="I,II,V5")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
