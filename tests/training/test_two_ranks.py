"""Two workers with half a batch each train what one worker trains with the whole batch.

Two processes (gloo, met through a file) run this very file once for all cases; the tests compare
what they saved with the same trainings run here, in one process.
"""

import os
import pickle
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import distributed as dist

from mvkt_ray.config import Hyperparameters
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.student import TrialInputs, run_trial
from mvkt_ray.training.teacher import TeacherJob, train_teacher

if TYPE_CHECKING:
    from conftest import TinyStudy

TRIALS: dict[str, dict[str, Any]] = {
    "crd": {"clt_loss": "crd", "clt_weight": 0.1},
    "infonce": {"clt_loss": "infonce", "clt_weight": 0.5},
    "softmax_kd": {"kd_loss": "softmax_kd", "clt_weight": 0.0},
    "alone": {"kd_weight": 0.0, "clt_weight": 0.0},
    "clt only": {"label_weight": 0.0, "kd_weight": 0.0, "clt_weight": 1.0},
    "one_cycle": {"schedule": "one_cycle"},
    "resnet": {"student": "xresnet1d18", "learning_rate": 1e-3},
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What both processes do."""

    job: TeacherJob
    inputs: TrialInputs
    trials: dict[str, Trial]
    pruned: Trial
    uneven: Trial


@dataclass
class Heard:
    """What a training reported and how it ended."""

    epochs: list[EpochMetrics]
    result: TrialResult | None = None


def listen(heard: Heard, metrics: EpochMetrics) -> Decision:
    heard.epochs.append(metrics)
    return Decision.CONTINUE


def train(trial: Trial, inputs: TrialInputs) -> Heard:
    heard = Heard([])
    heard.result = run_trial(trial, inputs, lambda metrics: listen(heard, metrics))
    return heard


def do_all(plan: Plan, folder: Path) -> dict[str, Any]:
    """Train everything, on one rank or on this one of several."""
    found: dict[str, Any] = {}
    teacher = Heard([])
    train_teacher(
        plan.job, str(folder / "teacher"), lambda metrics: teacher.epochs.append(metrics)
    )
    found["teacher"] = teacher
    inputs = replace(plan.inputs, trials=str(folder / "trials"))
    for name, trial in plan.trials.items():
        found[name] = train(trial, inputs)
    heard: list[int] = []

    def prune_second(metrics: EpochMetrics) -> Decision:
        heard.append(metrics.epoch)
        return Decision.PRUNE if metrics.epoch == 2 else Decision.CONTINUE

    found["pruned"] = run_trial(plan.pruned, inputs, prune_second)
    found["pruned heard"] = heard
    # The first trial has ended: both ranks find its result.
    found["again"] = train(plan.trials["crd"], inputs)
    return found


def work(rank: int, folder: Path) -> None:
    """Be one of two ranks."""
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "store"), 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    plan: Plan = pickle.loads((folder / "plan").read_bytes())
    found = do_all(plan, folder)
    try:
        train(plan.uneven, replace(plan.inputs, trials=str(folder / "trials")))
    except ConfigError as error:
        found["uneven"] = str(error)
    ranks = Ranks.here()
    mine = torch.arange(3 if rank == 0 else 0, dtype=torch.float64)[:, None] + 10 * rank
    found["gathered"] = ranks.gather(mine)
    found["from first"] = [
        ranks.from_first(content if rank == 0 else None) for content in (b"hello", b"", None)
    ]
    found["agreed"] = [ranks.agree(flag) for flag in (rank == 0, rank == 1)]
    (folder / f"found{rank}").write_bytes(pickle.dumps(found))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def plan(tiny_study: "TinyStudy") -> Plan:
    constant = {"schedule": "constant", "learning_rate": 1e-3}
    trials = {
        name: tiny_study.trial(number=number, **(constant | changes))
        for number, (name, changes) in enumerate(TRIALS.items())
    }
    return Plan(
        job=tiny_study.job,
        inputs=tiny_study.inputs,
        trials=trials,
        pruned=tiny_study.trial(number=90),
        uneven=tiny_study.trial(number=91, batch_size=15),
    )


@pytest.fixture(scope="module")
def one_rank(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return do_all(plan, tmp_path_factory.mktemp("one_rank"))


@pytest.fixture(scope="module")
def two_ranks(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("two_ranks")
    # The classes of this file are `__main__`'s in the processes.
    (folder / "plan").write_bytes(
        pickle.dumps({field: getattr(plan, field) for field in Plan.__dataclass_fields__})
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(rank), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return [pickle.loads((folder / f"found{rank}").read_bytes()) for rank in range(2)]
