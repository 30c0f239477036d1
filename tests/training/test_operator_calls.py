"""What a step of training asks of torch: few calls, as many for any batch, none that waits.

Bounds are a twentieth above what was counted with torch 2.13: 410, 380 and 296.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mvkt_ray.config.recipes import MORE_TEACHING_WEIGHTS, Hyperparameters
from mvkt_ray.data.loader import EvalLoader, TrainLoader
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.distill.objective import Objective
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import Decision
from mvkt_ray.storage.location import Location
from mvkt_ray.training.course import Course
from mvkt_ray.training.fit import fit
from mvkt_ray.training.guidance import Lesson, with_knowledge, with_mixup
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.optimizers import Steering
from mvkt_ray.training.ranks import Ranks

if TYPE_CHECKING:
    from conftest import TinyStudy

CPU = torch.device("cpu")
MKD: dict[str, Any] = {"clt_weight": 0}
CRD: dict[str, Any] = {"clt_weight": 1, "clt_loss": "crd"}
INFONCE: dict[str, Any] = {"clt_weight": 1, "clt_loss": "infonce"}
MORE: dict[str, Any] = {
    "clt_weight": 0,
    "ema_decay": 0.9,
    "mixup": 0.5,
    **dict.fromkeys(MORE_TEACHING_WEIGHTS, 1.0),
}
WAITS = {"aten._local_scalar_dense.default", "aten.nonzero.default", "aten.is_nonzero.default"}
"""Operators whose answer the processor needs: each would wait for all that a GPU has to do."""


@dataclass
class Operators(TorchDispatchMode):
    """Counts the operators that are called, of forward and backward passes and the optimiser."""

    called: Counter[str] = field(default_factory=Counter[str])

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.called[str(func)] += 1
        return func(*args, **(kwargs or {}))


def of_one_step(
    tiny_study: "TinyStudy", folder: Path, network: str, *, bf16: bool = False, **chosen: Any
) -> Counter[str]:
    """Return the operators from the second batch to the third, the loader's among them.

    With 24 negatives CLT-CRD has the same of two ways for all batches here: it compares with all
    of the bank.
    """
    hyperparameters = Hyperparameters(
        **{"student": network, "batch_size": 8, "projection_dim": 8, "n_negatives": 24, **chosen}
    )
    shards, splits = tiny_study.shards, tiny_study.splits
    view = tiny_study.job.view.with_leads(("II",))
    knowledge = open_knowledge(str(tiny_study.folder / "knowledge"), shards=shards)
    student = build_network(network, 1, len(splits.train.classes))
    objective = Objective(
        hyperparameters=hyperparameters,
        train_labels_NC=torch.from_numpy(splits.train.labels),
        student_dim=student.embedding_dim,
        teacher_dim=knowledge.embedding_dim,
        seed=0,
        teacher_classifier_CD=torch.ones(len(splits.train.classes), knowledge.embedding_dim),
    )
    loader = TrainLoader(shards, splits.train, view, batch_size=hyperparameters.batch_size, seed=0)
    lessons = with_knowledge(loader, knowledge, CPU)
    if hyperparameters.mixup > 0:
        lessons = with_mixup(lessons, alpha=hyperparameters.mixup, seed=0)
    counting, begun = Operators(), list[Counter[str]]()

    def marked(epoch: int) -> Iterator[Lesson]:
        for lesson in lessons(epoch):
            begun.append(counting.called.copy())
            yield lesson

    course = Course(
        lessons=marked,
        steps_per_epoch=loader.steps_per_epoch,
        examples_per_epoch=loader.steps_per_epoch * loader.examples_per_step,
        windows=EvalLoader(shards, splits.val, view, batch_size=64),
        val_labels_NC=splits.val.labels,
        classes=tiny_study.job.task.classes,
        epochs=1,
        steering=Steering.of(hyperparameters),
        seed=0,
        recipe="counted",
        ema_decay=hyperparameters.ema_decay,
    )
    learner = Learner(student, objective, bf16=bf16)
    checkpoint = Location.parse(folder) / "checkpoint.pt"
    with counting:
        fit(learner, course, checkpoint, lambda _: Decision.CONTINUE, device=CPU, ranks=Ranks())
    assert len(begun) >= 3
    return begun[2] - begun[1]


@pytest.mark.parametrize(
    ("network", "most"), [("xresnet1d18", 430), ("sepconv1d_small", 399), ("sepconv1d_tiny", 310)]
)
def test_a_step_with_mkd_calls_no_more_operators_than_it_did(
    tiny_study: "TinyStudy", tmp_path: Path, network: str, most: int
) -> None:
    called = of_one_step(tiny_study, tmp_path, network, **MKD)
    assert called.total() <= most, called.most_common()


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("terms", [MKD, CRD, INFONCE, MORE])
def test_a_step_has_as_many_operators_for_any_batch_and_waits_for_none(
    tiny_study: "TinyStudy", tmp_path: Path, terms: dict[str, Any], bf16: bool
) -> None:
    few, many = (
        of_one_step(
            tiny_study, tmp_path / str(size), "sepconv1d_tiny", batch_size=size, bf16=bf16, **terms
        )
        for size in (8, 16)
    )
    assert few == many
    assert not few.keys() & WAITS


def test_weights_are_moved_by_one_call_however_many_there_are(
    tiny_study: "TinyStudy", tmp_path: Path
) -> None:
    called = of_one_step(tiny_study, tmp_path, "xresnet1d18", **MKD)
    assert called["aten._fused_adamw_.default"] == 1


def test_a_number_that_is_read_in_a_step_would_be_seen() -> None:
    with Operators() as counting:
        torch.ones(3).sum().item()
    assert counting.called.keys() & WAITS
