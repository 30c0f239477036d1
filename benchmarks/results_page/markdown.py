"""Numbers and tables as the results page writes them."""

import math
from collections.abc import Sequence

from mvkt_ray.statistics.gains import Difference
from mvkt_ray.statistics.intervals import Interval


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that is aligned in its source, too; columns of numbers are set to the right.

    Args:
        header: One text per column.
        rows: As many texts each.
    """
    columns = list(zip(*rows, strict=True))
    widths = [max(3, *(len(row[i]) for row in [header, *rows])) for i in range(len(header))]
    is_number = [all(not cell or cell[0] in "+-<0123456789" for cell in own) for own in columns]

    def line(cells: Sequence[str]) -> str:
        pairs = zip(cells, widths, is_number, strict=True)
        return f"| {' | '.join(c.rjust(w) if right else c.ljust(w) for c, w, right in pairs)} |"

    rule = [
        "-" * (w - 1) + ":" if right else "-" * w
        for w, right in zip(widths, is_number, strict=True)
    ]
    return "\n".join([line(header), f"| {' | '.join(rule)} |", *(line(row) for row in rows)])


def score(value: float) -> str:
    """Write `0.853`."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def within(interval: Interval) -> str:
    """Write `0.829 to 0.875`."""
    return f"{interval.low:.3f} to {interval.high:.3f}"


def change(value: float) -> str:
    """Write `+0.0042`; a gain of interest is in the third digit."""
    return f"{value:+.4f}"


def changes(interval: Interval) -> str:
    """Write `+0.0011 to +0.0073`."""
    return f"{interval.low:+.4f} to {interval.high:+.4f}"


def share(value: float) -> str:
    """Write `27 %`."""
    return "-" if math.isnan(value) else f"{100 * value:.0f} %"


def shares(interval: Interval) -> str:
    """Write `11 to 42 %`."""
    if math.isnan(interval.low):
        return "-"
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %"


def p_value(p: float) -> str:
    """Write `0.012`, or `<0.001`."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def verdict(found: Difference, *, corrected: bool) -> str:
    """Say in a word or two what an interval shows."""
    interval = found.corrected if corrected else found.interval
    if interval.covers(0.0):
        return "no gain shown"
    return "gain" if found.difference > 0 else "loss"


def listed(words: Sequence[str]) -> str:
    """Write `I, II and V5`."""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def count(n: int, what: str) -> str:
    """Write `1 seed`, or `5 seeds`."""
    return f"{n} {what}{'' if n == 1 else 's'}"
