"""The suites find what is wrong with a plug-in: each mistake fails the test that is about it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from mvkt_ray.data.sources.source import Source
from mvkt_ray.data.tasks import Task
from mvkt_ray.distill.both_say import BothSay, Loss
from mvkt_ray.plugins.entry_points import GROUPS
from mvkt_ray.testing import LossContract, NetworkContract, SourceContract, TaskContract
from tests.installed_plugins import write_package
from tests.wrong_sources import Anonymous, AsList, InMicrovolts, MadeUp, Nobody, Unordered

NETS = """
import torch
from torch import nn

class Right(nn.Module):
    n_channels = 4

    def __init__(self, n_leads):
        super().__init__()
        self.layer = nn.Conv1d(n_leads, 4, 5, padding=2)

    def forward(self, signal):
        return self.layer(signal)

class Idle(Right):
    def __init__(self, n_leads):
        super().__init__(n_leads)
        self.unused = nn.Linear(3, 3)

class Chance(Right):
    def forward(self, signal):
        return super().forward(signal) + torch.rand(())

class Gossip(Right):
    def forward(self, signal):
        return super().forward(signal - signal.mean(dim=0))

class OneByOne(Right):
    def __init__(self, n_leads):
        super().__init__(n_leads)
        self.norm = nn.BatchNorm1d(4)

    def forward(self, signal):
        return self.norm(super().forward(signal))
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    names = ("Right", "Idle", "Chance", "Gossip", "OneByOne")
    values = {name.lower(): f"wrong_nets:{name}" for name in names}
    write_package(tmp_path, "wrong-nets", {GROUPS["network"]: values}, module=NETS)
    return tmp_path


def failing(suite: Any, *arguments: object) -> set[str]:
    """Run every test of a suite; return the words behind `test_` of those that fail."""
    found: set[str] = set()
    for name in dir(suite):
        if name.startswith("test_"):
            try:
                getattr(suite, name)(*arguments)
            except Exception:
                found.add(name)
    return found


@pytest.mark.usefixtures("site")
@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("right", None),
        ("idle", "gradient"),
        ("chance", "depends_on_that_recording_alone"),
        ("gossip", "depends_on_that_recording_alone"),
        ("onebyone", "several_workers"),
    ],
)
def test_a_network_that_is_wrong_fails_where_it_is(name: str, fails: str | None) -> None:
    found = failing(NetworkContract(), name)
    assert (fails is None) == (not found), found
    assert fails is None or any(fails in each for each in found)


def without_known(said: BothSay) -> Tensor:
    return ((said.student_logits_BC - said.labels_BC) ** 2).mean()


@pytest.mark.parametrize(
    ("loss", "fails"),
    [
        (lambda said: (said.student_logits_BC - said.teacher_logits_BC).abs().mean(), None),
        (lambda said: said.teacher_logits_BC.mean(), "reaches_the_student"),
        (lambda said: said.student_logits_BC.mean(dim=1), "one_number"),
        (without_known, "not_known"),
        (lambda said: said.student_logits_BC.sigmoid().log().mean(), "certain"),
        (lambda said: said.student_logits_BC[0].square().mean(), "every_order"),
        (lambda said: said.student_logits_BC.mean() * torch.rand(()), "asked_again"),
    ],
)
def test_a_loss_that_is_wrong_fails_where_it_is(loss: Loss, fails: str | None) -> None:
    found = failing(LossContract(), loss)
    assert (fails is None) == (not found), found
    assert fails is None or any(fails in each for each in found)


@pytest.mark.parametrize(
    ("kind", "fails"),
    [
        (MadeUp, None),
        (InMicrovolts, "in_mv"),
        (Unordered, "in_order"),
        (Anonymous, "whose_they_are"),
        (AsList, "lazy"),
        (Nobody, "known_to_a_task"),
    ],
)
def test_a_source_that_is_wrong_fails_where_it_is(
    kind: Callable[[], Any], fails: str | None
) -> None:
    source = cast(Source, kind())
    found = failing(SourceContract(), source)
    assert (fails is None) == (not found), found
    assert fails is None or any(fails in each for each in found)


def test_a_task_that_is_right_passes() -> None:
    assert failing(TaskContract(), Task.of_classes("t", {"B": ["b"], "A": ["a", "b"]})) == set()


def test_a_suite_without_its_fixture_says_which_one_to_override() -> None:
    for suite, name in (
        (NetworkContract, "network_name"),
        (LossContract, "loss"),
        (SourceContract, "source"),
        (TaskContract, "task"),
    ):
        with pytest.raises(NotImplementedError, match=f"override the fixture {name}"):
            vars(suite)[name].__wrapped__(suite())
