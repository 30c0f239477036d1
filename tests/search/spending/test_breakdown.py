"""What was spent is what all attempts have used, and never less than the last of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.records import NOTHING_USED, Reservation, Usage
from mvkt_ray.search.spending.breakdown import with_earlier_attempts
from mvkt_ray.slots import Node

NODE = Node(group="gpu", cpus=4, gpus=1)
SECONDS = st.floats(0, 1e6)


def used(seconds: float) -> Usage:
    return Usage(kept=(Reservation(node=NODE, cpus=2, gpus=1, worker_s=seconds),))


@given(last_s=SECONDS, wall_s=SECONDS, n_workers=st.integers(1, 8))
def test_attempts_that_were_killed_count_on_such_nodes_as_the_last_one(
    last_s: float, wall_s: float, n_workers: int
) -> None:
    usage = with_earlier_attempts(used(last_s), wall_s=wall_s, n_workers=n_workers)
    assert usage.worker_s == pytest.approx(max(last_s, wall_s * n_workers))
    assert {(each.node, each.cpus, each.gpus) for each in usage.reservations} == {(NODE, 2, 1)}


def test_of_one_attempt_nothing_is_added() -> None:
    assert with_earlier_attempts(used(100.0), wall_s=99.5, n_workers=1) == used(100.0)
    assert with_earlier_attempts(NOTHING_USED, wall_s=9.0, n_workers=1) == NOTHING_USED
