"""Numbers as JSON takes them: it has neither NaN nor infinities, so these are None there."""

import math
from collections.abc import Mapping
from typing import Any, cast


def finite(value: Any) -> float | None:
    """Return a float; None for None, NaN and infinities."""
    return None if value is None or not math.isfinite(value) else float(value)


def nan_if_none(value: float | None) -> float:
    """Read a number that was written as `finite` gives it: None was NaN."""
    return math.nan if value is None else value


def without_nan(value: Any) -> Any:
    """Return plain values with None in place of NaN and infinities, at any depth.

    Keys become texts, and sequences lists, as in JSON.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        items = cast(Mapping[Any, Any], value).items()
        return {str(key): without_nan(item) for key, item in items}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in cast(list[Any], value)]
    return value
