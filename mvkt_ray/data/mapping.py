"""Functions over items: in this process, or wherever a runner maps them; no torch, no Ray."""

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from mvkt_ray.machine_faults import naming_machine_faults

T = TypeVar("T")
R = TypeVar("R")


class MapFunction(Protocol):
    """Runs a function over items somewhere, and yields the results in any order."""

    def __call__(self, function: Callable[[T], R], items: Sequence[T], /) -> Iterable[R]:
        """Yield `function(item)` for every item, as they come."""
        ...


def in_process_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Run the jobs here, one after the other."""
    return map(function, items)


def run_item(function: Callable[[T], R], item: T) -> R:
    """Apply the function of a map to one item; what runs in the worker processes of a map.

    Raises:
        MachineError: The machine failed under it; it is named here, where that is.
    """
    with naming_machine_faults(platform.node()):
        return function(item)
