import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.display.waiting_lines import FOR_CLUSTER, showing_waits
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray import waiting
from mvkt_ray.on_ray.waiting import Waiting, awaited


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_wait(clock: Clock, *, limit_s: float = 3600.0) -> Waiting:
    return Waiting(lambda: "a node with 4 GPUs", limit_s, says_after_s=60.0, clock=clock)


@given(steps=st.lists(st.tuples(st.floats(0, 4000), st.booleans()), max_size=40))
def test_it_gives_up_when_nothing_has_moved_for_so_long_and_at_no_other_time(
    steps: list[tuple[float, bool]],
) -> None:
    clock = Clock()
    wait, still = a_wait(clock), 0.0
    for seconds, moves in steps:
        clock.now += seconds
        still = clock.now if moves else still
        if moves:
            wait.moved()
        if clock.now - still >= 3600.0:
            with pytest.raises(ClusterError, match=r"4 GPUs.*--resume"):
                wait.look()
            return
        wait.look()


def test_a_wait_that_lasts_says_what_for_a_few_times_and_to_whoever_listens() -> None:
    clock, said = Clock(), list[str]()
    wait = a_wait(clock)
    assert [waiting.LOG.name] == [*FOR_CLUSTER]
    with showing_waits(said.append, FOR_CLUSTER):
        for _ in range(3500):
            clock.now += 1
            wait.look()
        wait.moved()
        clock.now += 59
        wait.look()
    assert [line.split("since ")[1] for line in said] == [
        f"{minutes} min; giving up after 1.0 h" for minutes in (1, 2, 4, 8, 16, 32)
    ]
    assert all(line.startswith("waiting for a node with 4 GPUs") for line in said)
    assert waiting.LOG.handlers == []
    clock.now += 60
    wait.look()
    assert len(said) == 6


def test_an_answer_that_does_not_come_is_given_up_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting.ray, "wait", lambda *_, **__: ([], []))
    with pytest.raises(ClusterError, match="waiting for an answer of the study"):
        awaited("a reference", "an answer of the study", 0.0)
