"""The trials of a study by Ray Tune as its guide does it, or by a loop.

python -m benchmarks.growth.short_trials_by_tune tune|tune-fresh|bare N STUDY_FOLDER OUT
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search.optuna import OptunaSearch

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.records import Arm, Condition, Decision, EpochMetrics, Trial
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.pipeline import trial_inputs
from mvkt_ray.search.stages import prepare
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from mvkt_ray.training.process import torch_threads
from mvkt_ray.training.student import TrialInputs, run_trial

N_AT_ONCE = 2
RANGES = {
    "learning_rate": (3e-3, 3e-2),
    "kd_weight": (0.3, 10.0),
    "distill_temperature": (1.0, 6.0),
}
"""Drawn on a log scale."""


def inputs_of(study_folder: str, trials: Path) -> TrialInputs:
    """Return what the trials of a study are trained on, to be written elsewhere."""
    folder = StudyFolder(Location.parse(study_folder))
    config, study = open_study(folder)
    study.close()
    shards = folder.read_inputs()["shards"]
    assert shards is not None
    inputs = trial_inputs(config, folder, prepare(config, shards), study.cpu_precision)
    return inputs.writing_to(str(trials))


def trial_of(number: int, lead: str, **drawn: float) -> Trial:
    """Return a trial as the study would make it."""
    fixed = Hyperparameters(student="sepconv1d_tiny", batch_size=64, clt_weight=0.0)
    return Trial(
        number=number,
        condition=Condition(leads=(lead,)),
        arm=Arm.SEARCH,
        hyperparameters=asdict(fixed) | drawn,
    )


def trainable(config: dict[str, Any], inputs: TrialInputs) -> None:
    """Train one student, and report it."""
    number = int(str(tune.get_context().get_trial_id()), base=16)  # Tune numbers no trials

    def report(metrics: EpochMetrics) -> Decision:
        tune.report({"auroc": metrics.macro_auroc})
        return Decision.CONTINUE

    with torch_threads(1):
        run_trial(trial_of(number, **config), inputs, report)


def by_tune(inputs: TrialInputs, n_trials: int, out: Path, *, reuse: bool) -> list[float]:
    """Run the trials, and return when they ended."""
    space: dict[str, Any] = {"lead": tune.choice(["II", "V5"])} | {
        name: tune.loguniform(low, high) for name, (low, high) in RANGES.items()
    }
    function = tune.with_parameters(trainable, inputs=inputs)
    tuner = tune.Tuner(
        tune.with_resources(function, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            metric="auroc",
            mode="max",
            num_samples=n_trials,
            max_concurrent_trials=N_AT_ONCE,
            search_alg=OptunaSearch(seed=0),
            reuse_actors=reuse,
        ),
        run_config=tune.RunConfig(name="short", storage_path=str(out / "tune")),
    )
    results = tuner.fit()
    assert not results.errors, results.errors
    return [float((result.metrics or {})["timestamp"]) for result in results]


def in_a_loop(inputs: TrialInputs, n_trials: int) -> list[float]:
    """Run the trials here, and return when they ended."""
    ended: list[float] = []
    for number in range(n_trials):
        trial = trial_of(number, "II", learning_rate=1e-2)
        with torch_threads(1):
            run_trial(trial, inputs, lambda _metrics: Decision.CONTINUE)
        ended.append(time.time())
    return ended


def main() -> None:
    """Read the command line, run, and write when the trials ended."""
    contender, n_trials, study_folder, out = sys.argv[1:]
    inputs = inputs_of(study_folder, Path(out) / "trials")
    if contender == "bare":
        ended = in_a_loop(inputs, int(n_trials))
    else:
        ended = by_tune(inputs, int(n_trials), Path(out), reuse=contender == "tune")
    (Path(out) / "ended.json").write_text(json.dumps(ended), encoding="utf-8")


if __name__ == "__main__":
    main()
