"""What an attempt holds: every second once, as kept or as lost, on the nodes that it was on."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.records import Reservation, TrialState, Usage
from mvkt_ray.search.spending.metering import Meter
from mvkt_ray.slots import Node

KINDS = {"a": Node(group="big", cpus=8, gpus=1), "b": Node(cpus=4)}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def held(node: str | None, worker_s: float) -> Reservation:
    kind = None if node is None else KINDS[node]
    return Reservation(node=kind, cpus=2.0, gpus=0.5, worker_s=worker_s)


@pytest.fixture
def make_meter() -> Callable[..., tuple[Meter, Clock]]:
    def make(workers: int = 1) -> tuple[Meter, Clock]:
        clock = Clock()
        asked = WorkersConfig(workers=workers, cpus_per_worker=2, gpus_per_worker=0.5)
        if workers > 1:
            asked = WorkersConfig(workers=workers, cpus_per_worker=2, gpus_per_worker=0)
        return Meter(asked, KINDS.get, clock), clock

    return make


def test_reports_tell_all_of_the_attempt_and_a_loss_what_came_after(
    make_meter: Callable[..., tuple[Meter, Clock]],
) -> None:
    meter, clock = make_meter()
    clock.now += 5
    assert meter.update(["a"]) == Usage(kept=(held("a", 5),))
    clock.now += 7
    assert meter.update(["a"]) == Usage(kept=(held("a", 12),))
    clock.now += 3
    assert meter.record_lost() == Usage(kept=(held("a", 12),), lost=(held("a", 3),))


def test_a_process_that_never_reported_was_on_an_unknown_node(
    make_meter: Callable[..., tuple[Meter, Clock]],
) -> None:
    meter, clock = make_meter()
    clock.now += 4
    assert meter.record_lost() == Usage(lost=(held(None, 4),))


@pytest.mark.parametrize("state", TrialState)
def test_only_a_failure_loses_its_last_seconds(
    make_meter: Callable[..., tuple[Meter, Clock]], state: TrialState
) -> None:
    meter, clock = make_meter()
    clock.now += 4
    used = meter.end(["b"], state)
    ends = Usage(lost=(held("b", 4),)) if state is TrialState.FAILED else None
    assert used == (ends or Usage(kept=(held("b", 4),)))


@given(
    st.lists(
        st.tuples(st.integers(0, 50), st.lists(st.sampled_from("abc"), min_size=1)), max_size=6
    )
)
def test_workers_that_come_and_go_are_counted_one_by_one(
    reports: list[tuple[int, list[str]]],
) -> None:
    clock = Clock()
    meter = Meter(WorkersConfig(workers=(1, 9)), KINDS.get, clock)
    used = Usage()
    for seconds, nodes in reports:
        clock.now += seconds
        used = meter.update(nodes)
    assert used.worker_s == sum(seconds * len(nodes) for seconds, nodes in reports)
    on_a = [each.worker_s for each in used.kept if each.node == KINDS["a"]]
    assert sum(on_a) == sum(seconds * nodes.count("a") for seconds, nodes in reports)
