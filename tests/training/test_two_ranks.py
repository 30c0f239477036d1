"""Two workers with half a batch each train what one worker trains with the whole batch.

Two processes (gloo, met through a file) run this very file once for all cases; the tests compare
what they saved with the same trainings run here, in one process.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from mvkt_ray.config.data_config import LabelledConfig, LabelUse
from mvkt_ray.config.recipes import MORE_TEACHING_WEIGHTS
from mvkt_ray.distill.objective import ObjectiveTerms
from mvkt_ray.errors import ConfigError
from mvkt_ray.models.collectives import rows_per_rank, share_of_mean
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialState
from mvkt_ray.training.gradients import add_gradients
from mvkt_ray.training.guidance import Lesson
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.students.trial_inputs import TrialInputs
from mvkt_ray.training.teacher import train_teacher
from tests.patience import PATIENCE_S

if TYPE_CHECKING:
    from conftest import TinyStudy

TRIALS: dict[str, dict[str, Any]] = {
    "crd": {"clt_loss": "crd", "clt_weight": 0.1},
    "infonce": {"clt_loss": "infonce", "clt_weight": 0.5},
    "softmax_kd": {"kd_loss": "softmax_kd", "clt_weight": 0.0},
    "alone": {"kd_weight": 0.0, "clt_weight": 0.0},
    "clt only": {"label_weight": 0.0, "kd_weight": 0.0, "clt_weight": 1.0},
    "one_cycle": {"schedule": "one_cycle", "learning_rate": 1e-2},
    "resnet": {"student": "xresnet1d18"},
    "uneven": {"batch_size": 15, "clt_weight": 0.1},
    "relation": {"clt_weight": 0.0, "relation_weight": 1.0, "batch_size": 15},
    "feature": {"clt_weight": 0.0, "feature_weight": 1.0, "batch_size": 15},
    "label_embedding": {"clt_weight": 0.0, "label_embedding_weight": 1.0, "batch_size": 15},
    "label_embedding only": {
        "label_weight": 0.0,
        "kd_weight": 0.0,
        "clt_weight": 0.0,
        "label_embedding_weight": 1.0,
    },
    "mixed": {"mixup": 0.5, "clt_weight": 0.0, "batch_size": 15, "relation_weight": 1.0},
    "finer": {"finer_weight": 1.0, "clt_weight": 0.0, "batch_size": 15},
    "mixed alone": {"mixup": 0.5, "clt_weight": 0.0, "kd_weight": 0.0},
    "averaged": {"ema_decay": 0.7, "clt_weight": 0.0},
    "feature only": {
        "label_weight": 0.0,
        "kd_weight": 0.0,
        "clt_weight": 0.0,
        "feature_weight": 1.0,
    },
}

FEW_LABELS = LabelUse(labelled=LabelledConfig(folds=(1, 2)), distils_unlabelled=True)

Found = dict[str, Any]
Plan = Mapping[str, Any]
"""`job`, `inputs`, `trials` by name, and the trials `pruned` and `tiny`: a pickle of our own."""


def train(trial: Trial, inputs: TrialInputs) -> Found:
    epochs: list[EpochMetrics] = []

    def listen(metrics: EpochMetrics) -> Decision:
        epochs.append(metrics)
        return Decision.CONTINUE

    return {"result": run_trial(trial, inputs, listen), "epochs": epochs}


def do_all(plan: Plan, folder: Path) -> Found:
    """Train everything, on one rank or on this one of several."""
    teacher_epochs: list[EpochMetrics] = []
    train_teacher(plan["job"], str(folder / "teacher"), teacher_epochs.append)
    many = train_teacher(plan["many"], str(folder / "many"), lambda _metrics: None)
    inputs = replace(plan["inputs"], trials=str(folder / "trials"))
    found: Found = {name: train(trial, inputs) for name, trial in plan["trials"].items()}
    heard: list[int] = []

    def prune_second(metrics: EpochMetrics) -> Decision:
        heard.append(metrics.epoch)
        return Decision.PRUNE if metrics.epoch == 2 else Decision.CONTINUE

    found["few labels"] = train(plan["few labels"], replace(inputs, label_use=FEW_LABELS))
    pruned = run_trial(plan["pruned"], replace(inputs, measures_latency=True), prune_second)
    return found | {
        "teacher": {"epochs": teacher_epochs},
        "many": many.details,
        "pruned": pruned,
        "pruned heard": heard,
        "ended": train(plan["trials"]["crd"], inputs),
    }


def talk() -> Found:
    """Use all that ranks tell each other."""
    ranks = Ranks.here()
    rows = torch.arange(3 if ranks.is_first else 0, dtype=torch.float64)[:, None]
    contents = [b"hello", b"", None]
    return {
        "ragged": ranks.gather(rows),
        "own": ranks.gather(torch.tensor([[ranks.rank]])),
        "sum": ranks.sum(torch.tensor(1.0 + ranks.rank)),
        "from first": [ranks.from_first(c if ranks.is_first else b"mine") for c in contents],
    }


def gradient(n_parts: int) -> torch.Tensor:
    """Return that of seven examples over all ranks, this rank's computed in parts."""
    ranks = Ranks.here()
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(20, 5), torch.nn.Tanh())
    learner = Mean(network)
    module = DistributedDataParallel(learner) if ranks.are_many else learner
    signal_BLS, labels_BC = torch.randn(7, 1, 20), torch.zeros(7, 2)
    own = slice(7 * ranks.rank // ranks.world_size, 7 * (ranks.rank + 1) // ranks.world_size)
    lesson = Lesson(
        signal_BLS=signal_BLS[own], labels_BC=labels_BC[own], example_B=torch.arange(7)[own]
    )
    add_gradients(module, ("total",), lesson, n_parts)
    return torch.cat([weight.grad.flatten() for weight in learner.parameters()])  # pyright: ignore[reportOptionalMemberAccess]


class Mean(torch.nn.Module):
    """As much of a learner as a gradient takes: the mean of a network's output over all ranks."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, signal_BLS: torch.Tensor, *_: Any) -> ObjectiveTerms:
        share = share_of_mean(rows_per_rank(len(signal_BLS), signal_BLS.device))
        total = self.network(signal_BLS).square().mean() * share
        return ObjectiveTerms(total=total, label=total, kd=total, clt=total)


def be_rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    meeting = f"file://{folder / 'meeting'}"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=2)
    plan: Plan = pickle.loads((folder / "plan").read_bytes())
    found = do_all(plan, folder) | talk() | {"gradient": gradient(n_parts=3)}
    try:
        train(plan["tiny"], replace(plan["inputs"], trials=str(folder / "trials")))
    except ConfigError as error:
        found["tiny"] = str(error)
    (folder / f"found{rank}").write_bytes(pickle.dumps(found))
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def plan(tiny_study: "TinyStudy") -> Plan:
    gentle: dict[str, Any] = {"schedule": "constant", "learning_rate": 1e-3}
    many = replace(tiny_study.job.config, epochs=1, members=2, cross_fitting=2, **gentle)
    return {
        "job": tiny_study.job,
        "many": replace(tiny_study.job, config=many),
        "inputs": replace(tiny_study.inputs, finer_task=tiny_study.shards.task("synthetic_codes")),
        "trials": {
            name: tiny_study.trial(number=number, **(gentle | changes))
            for number, (name, changes) in enumerate(TRIALS.items())
        },
        "few labels": tiny_study.trial(
            number=80,
            **gentle,
            batch_size=15,
            mixup=0.5,
            clt_weight=0.0,
            **dict.fromkeys(MORE_TEACHING_WEIGHTS, 1.0),
        ),
        "pruned": tiny_study.trial(number=90),
        "tiny": tiny_study.trial(number=91, batch_size=1),
    }


@pytest.fixture(scope="module")
def one_rank(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Found:
    return do_all(plan, tmp_path_factory.mktemp("one_rank"))


@pytest.fixture(scope="module")
def two_ranks(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    folder = tmp_path_factory.mktemp("two_ranks")
    (folder / "plan").write_bytes(pickle.dumps(plan))
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", __file__, str(rank), str(folder)],
            env=environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=PATIENCE_S)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return [pickle.loads((folder / f"found{rank}").read_bytes()) for rank in range(2)]


@pytest.mark.parametrize("name", ["teacher", "few labels", *TRIALS])
def test_two_workers_have_the_loss_curve_of_one(
    one_rank: Found, two_ranks: list[Found], name: str
) -> None:
    one, two = one_rank[name]["epochs"], two_ranks[0][name]["epochs"]
    assert len(one) == len(two) == 3
    for alone, together in zip(one, two, strict=True):
        assert together.losses == pytest.approx(dict(alone.losses), abs=1e-4)
        assert together.n_examples == alone.n_examples


@pytest.mark.parametrize("name", TRIALS)
def test_all_ranks_return_the_same_result_and_only_the_first_reports(
    two_ranks: list[Found], name: str
) -> None:
    first, second = (found[name] for found in two_ranks)
    assert first["result"].macro_auroc == second["result"].macro_auroc
    assert first["result"].cpu_s == second["result"].cpu_s
    assert second["epochs"] == []


def test_every_network_of_a_teacher_has_the_loss_curve_of_one_worker(
    one_rank: Found, two_ranks: list[Found]
) -> None:
    one, two, other = (found["many"] for found in (one_rank, *two_ranks))
    assert two == other
    assert len(two["members"]) == len(two["cross_fitted"]) == 2
    assert [epoch["epoch"] for epoch in two["epochs"]] == [1, 2, 3, 4]
    for alone, together in zip(one["epochs"], two["epochs"], strict=True):
        assert together["losses"]["label"] == pytest.approx(alone["losses"]["label"], abs=1e-4)
    assert two["macro_auroc"] == pytest.approx(one["macro_auroc"], abs=0.02)


def test_the_decision_to_prune_reaches_all_ranks(two_ranks: list[Found]) -> None:
    assert [found["pruned"].state for found in two_ranks] == [TrialState.PRUNED] * 2
    assert [found["pruned"].epochs for found in two_ranks] == [2, 2]
    assert [found["pruned heard"] for found in two_ranks] == [[1, 2], []]


def test_the_first_rank_alone_times_a_student_that_was_trained_by_several(
    two_ranks: list[Found],
) -> None:
    first, second = (found["pruned"].latency_ms for found in two_ranks)
    assert first > 0
    assert second is None


def test_all_ranks_find_a_result_that_is_there(two_ranks: list[Found]) -> None:
    assert two_ranks[0]["ended"]["epochs"] == two_ranks[0]["crd"]["epochs"]
    assert two_ranks[0]["ended"]["result"] == two_ranks[1]["ended"]["result"]


def test_a_batch_with_fewer_examples_than_ranks_is_refused_on_all(two_ranks: list[Found]) -> None:
    for found in two_ranks:
        assert "batch_size is 1, fewer than one example for each of 2 workers" in found["tiny"]


def test_uneven_parts_on_two_ranks_have_the_gradient_of_the_whole_batch(
    two_ranks: list[Found],
) -> None:
    for found in two_ranks:
        torch.testing.assert_close(found["gradient"], gradient(n_parts=1))


def test_ranks_gather_ragged_rows_in_order_and_broadcast_from_the_first(
    two_ranks: list[Found],
) -> None:
    for found in two_ranks:
        assert found["ragged"].tolist() == [[0.0], [1.0], [2.0]]
        assert found["own"].tolist() == [[0], [1]]
        assert float(found["sum"]) == 3.0
        assert found["from first"] == [b"hello", b"", None]


def test_one_rank_talks_to_itself() -> None:
    ranks = Ranks.here()
    assert (ranks.rank, ranks.world_size) == (0, 1)
    assert ranks.gather(torch.ones(2, 1)).tolist() == [[1.0], [1.0]]
    assert ranks.from_first(b"hello") == b"hello"
    assert float(ranks.sum(torch.tensor(2.0))) == 2.0


if __name__ == "__main__":
    be_rank(int(sys.argv[1]), Path(sys.argv[2]))
