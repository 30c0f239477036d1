"""Where functions run over items: in this process, or wherever a place runs them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class PlaceMap(Protocol):
    """Runs a function over items somewhere, and yields the results in any order."""

    def __call__(self, function: Callable[[T], R], items: Sequence[T], /) -> Iterable[R]:
        """Yield `function(item)` for every item, as they come."""
        ...


def in_process_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Run the jobs here, one after the other."""
    return map(function, items)
