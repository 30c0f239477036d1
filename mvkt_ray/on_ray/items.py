"""What runs in the worker processes of a map; light, as such a worker may need no torch."""

from collections.abc import Callable
from typing import Any


def run_item(function: Callable[[Any], Any], item: Any) -> Any:
    """Apply the function of a map to one item."""
    return function(item)
