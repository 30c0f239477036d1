"""A small actor through which the first rank of a model speaks to whoever waits for it.

Ray Train reports upwards only, and a trial with several workers must hear whether it is pruned.
"""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mvkt_ray.on_ray.waiting import awaited

POLL_S = 0.2
_BESIDE = "a process of Ray beside this one, through which workers report"


class _Mailbox:
    """Keeps questions until they are taken, and whoever asked until there is an answer.

    Processes that ask may die and be replaced: an answer goes to the question that it is for, or
    to nobody.
    """

    def __init__(self) -> None:
        self._questions: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()

    async def ask(self, question: Any) -> Any:
        """Leave a question and wait for its answer."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._questions.put_nowait((number, question))
        try:
            return await self._answers[number]
        finally:
            del self._answers[number]

    async def take(self, timeout_s: float) -> list[tuple[int, Any]]:
        """Return the next question and its number, or nothing when there is none in time."""
        if not self._questions.empty():
            return [self._questions.get_nowait()]
        try:
            return [await asyncio.wait_for(self._questions.get(), timeout_s)]
        except TimeoutError:
            return []

    async def answer(self, number: int, answer: Any) -> None:
        """Answer a question."""
        waiting = self._answers.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


def open_mailbox() -> Any:
    """Start a mailbox beside this process; it ends with its last handle."""
    actor: Any = ray.remote(_Mailbox)
    return actor.options(num_cpus=0, max_concurrency=8, scheduling_strategy=on_this_node()).remote()


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Place beside this process; through Ray Client, beside its server on the head node."""
    node_id = ray.get_runtime_context().get_node_id()
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def ask(mailbox: Any, question: Any) -> Any:
    """Ask through a mailbox, and wait for the answer.

    Raises:
        ClusterError: None has come for too long; a driver that has died ends who asks before.
    """
    return awaited(mailbox.ask.remote(question), "an answer of the process that has the study")


def serve(mailbox: Any, reply: Callable[[Any], Any], is_over: Callable[[], bool]) -> None:
    """Answer questions, in this thread, until it is over."""
    while True:
        over = is_over()
        questions = awaited(mailbox.take.remote(0.0 if over else POLL_S), _BESIDE)
        for number, question in questions:
            awaited(mailbox.answer.remote(number, reply(question)), _BESIDE)
        if over and not questions:
            return
