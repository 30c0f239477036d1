"""Numbers as JSON takes them: finite, or None."""

import math
from typing import Any

from mvkt_ray.statistics.intervals import Interval


def number(value: Any) -> float | None:
    """Return a float; None for None, NaN and infinities."""
    return None if value is None or not math.isfinite(value) else float(value)


def ends(interval: Interval | None) -> list[float] | None:
    """Return both ends; None where one of them is not defined."""
    if interval is None or not (math.isfinite(interval.low) and math.isfinite(interval.high)):
        return None
    return [float(interval.low), float(interval.high)]


def signed(value: float, digits: int = 3) -> str:
    """Write `+0.004`, `-0.001`, `0.000`: as a difference is read."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text


def enumerate_names(names: "list[str] | tuple[str, ...]") -> str:
    """Write `V5`, `V5 and aVR`, `V5, aVR and II`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
