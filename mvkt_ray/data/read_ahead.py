"""Runs a slow function over items in threads, so that waits for disks and networks overlap."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def read_ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    n_threads: int,
    n_ahead: int,
    at_end: Callable[[], None] | None = None,
) -> Iterator[R]:
    """Yield `function(item)` in the order of the items; what it raises is raised at its turn.

    Items are taken as they are needed, so there may be any number of them.

    Args:
        function: is called in several threads at once.
        items: what it is called with.
        n_threads: calls at a time.
        n_ahead: results that may be under way or wait to be taken.
        at_end: is called when no more results are wanted, to let calls under way end early.
    """
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="read-ahead")
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= n_ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        if at_end is not None:
            at_end()
        pool.shutdown(cancel_futures=True)
