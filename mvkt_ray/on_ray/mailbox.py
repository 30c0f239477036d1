"""An actor for questions of a model's first rank to the process that runs its training.

Ray Train has reports but no answers, and a trial with several workers needs the study's decision.
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
    """Queue of numbered questions, with an open future for each until it is answered.

    A process that asked may die and be replaced: the answer to its question is then dropped.
    """

    def __init__(self) -> None:
        self._questions: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()

    async def ask(self, question: Any) -> Any:
        """Queue a question and return its answer."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        self._questions.put_nowait((number, question))
        try:
            return await self._answers[number]
        finally:
            del self._answers[number]

    async def take(self, timeout_s: float) -> list[tuple[int, Any]]:
        """Return the next number and question; an empty list if none arrives in time."""
        if not self._questions.empty():
            return [self._questions.get_nowait()]
        try:
            return [await asyncio.wait_for(self._questions.get(), timeout_s)]
        except TimeoutError:
            return []

    async def answer(self, number: int, answer: Any) -> None:
        """Answer a question by its number, if its process still waits."""
        waiting = self._answers.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)


def open_mailbox() -> Any:
    """Start a mailbox on this process's node; it ends when its last handle is deleted."""
    actor: Any = ray.remote(_Mailbox)
    return actor.options(num_cpus=0, max_concurrency=8, scheduling_strategy=on_this_node()).remote()


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Return the scheduling strategy for this process's node; of Ray Client, the head node."""
    node_id = ray.get_runtime_context().get_node_id()
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def ask(mailbox: Any, question: Any) -> Any:
    """Send a question through a mailbox, and return the answer.

    Raises:
        ClusterError: No answer within the time limit. If the driver dies, Ray ends this process.
    """
    return awaited(mailbox.ask.remote(question), "an answer of the process that has the study")


def serve(mailbox: Any, reply: Callable[[Any], Any], is_over: Callable[[], bool]) -> None:
    """Answer questions in this thread, until `is_over` and no question is left."""
    while True:
        over = is_over()
        questions = awaited(mailbox.take.remote(0.0 if over else POLL_S), _BESIDE)
        for number, question in questions:
            awaited(mailbox.answer.remote(number, reply(question)), _BESIDE)
        if over and not questions:
            return
