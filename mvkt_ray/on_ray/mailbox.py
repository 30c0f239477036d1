"""A small actor through which the first rank of a model speaks to whoever waits for it.

Ray Train reports upwards only, and a trial with several workers must hear whether it is pruned.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

POLL_S = 0.2


class _Mailbox:
    """Keeps questions until they are taken, and whoever asked until there is an answer."""

    def __init__(self) -> None:
        self._questions: asyncio.Queue[Any] = asyncio.Queue()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()

    async def ask(self, question: Any) -> Any:
        """Leave a question and wait for its answer; one at a time."""
        # An answer to somebody whose process died meanwhile is of no use to the next.
        while not self._answers.empty():
            self._answers.get_nowait()
        self._questions.put_nowait(question)
        return await self._answers.get()

    async def take(self, timeout_s: float) -> list[Any]:
        """Return the next question, or nothing when there is none in time."""
        if not self._questions.empty():
            return [self._questions.get_nowait()]
        try:
            return [await asyncio.wait_for(self._questions.get(), timeout_s)]
        except TimeoutError:
            return []

    async def answer(self, answer: Any) -> None:
        """Answer the question that was taken last."""
        self._answers.put_nowait(answer)


def open_mailbox() -> Any:
    """Start a mailbox beside this process; it ends with its last handle."""
    actor: Any = ray.remote(_Mailbox)
    return actor.options(num_cpus=0, max_concurrency=8, scheduling_strategy=on_this_node()).remote()


def on_this_node() -> NodeAffinitySchedulingStrategy:
    """Place beside this process; through Ray Client, beside its server on the head node."""
    node_id = ray.get_runtime_context().get_node_id()
    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def ask(mailbox: Any, question: Any) -> Any:
    """Ask through a mailbox, and wait for the answer."""
    return ray.get(mailbox.ask.remote(question))


def serve(mailbox: Any, reply: Callable[[Any], Any], is_over: Callable[[], bool]) -> None:
    """Answer questions, in this thread, until it is over."""
    while True:
        over = is_over()
        questions = ray.get(mailbox.take.remote(0.0 if over else POLL_S))
        for question in questions:
            ray.get(mailbox.answer.remote(reply(question)))
        if over and not questions:
            return
