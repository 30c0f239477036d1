"""Spending in words."""

from typing import TYPE_CHECKING

from mvkt_ray.phrasing import duration, money

if TYPE_CHECKING:
    from mvkt_ray.search.spending.prices import PriceList, Spent

_SECONDS_PER_HOUR = 3600.0


def spent_text(spent: "Spent", prices: "PriceList") -> str:
    """Write GPU hours and money, each if not zero; empty for neither."""
    parts: list[str] = []
    if spent.gpu_s:
        parts.append(f"{spent.gpu_s / _SECONDS_PER_HOUR:.3g} GPU hours")
    if prices.is_empty:
        return ", ".join(parts)
    if spent.money or not spent.unpriced_s:
        parts.append(money(spent.money, prices.currency))
    if spent.unpriced_s:
        parts.append(f"price unknown for {duration(spent.unpriced_s)} of workers")
    return ", ".join(parts)
