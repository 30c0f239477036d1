"""Reading ahead: in order, several at a time, never far, and ending when nobody listens."""

import threading
from collections.abc import Iterator

import pytest

from mvkt_ray.data.read_ahead import read_ahead
from tests.patience import PATIENCE_S


def test_results_come_in_order_and_all_of_them() -> None:
    found = read_ahead(lambda item: item * item, range(50), n_threads=4, n_ahead=7)
    assert list(found) == [item * item for item in range(50)]
    assert list(read_ahead(str, [], n_threads=2, n_ahead=2)) == []


def test_calls_overlap() -> None:
    # Each call waits for the three others, so one after the other would never end.
    together = threading.Barrier(4, timeout=PATIENCE_S)
    found = read_ahead(lambda _: together.wait() >= 0, range(8), n_threads=4, n_ahead=4)
    assert list(found) == [True] * 8


def test_items_are_taken_no_further_than_asked() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(1000):
            taken.append(item)
            yield item

    found = read_ahead(lambda item: item, items(), n_threads=2, n_ahead=5)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    assert len(taken) <= 3 + 5


def test_what_a_call_raises_comes_at_its_turn_and_ends_the_others() -> None:
    ended = threading.Event()

    def call(item: int) -> int:
        if item == 2:
            raise KeyError(item)
        if item > 2:
            assert ended.wait(PATIENCE_S)
        return item

    found = read_ahead(call, range(100), n_threads=3, n_ahead=4, at_end=ended.set)
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(KeyError):
        next(found)
    assert ended.is_set()
