"""What was spent, in words."""

from typing import TYPE_CHECKING

from mvkt_ray.display.console import duration

if TYPE_CHECKING:
    from mvkt_ray.search.spending.prices import PriceList, Spent

_SECONDS_PER_HOUR = 3600.0


def money(amount: float, currency: str) -> str:
    """Write `12.34 USD`; with more digits below one, where cents say little."""
    return f"{amount:,.2f} {currency}" if amount >= 1 else f"{amount:.3g} {currency}"


def spent_text(spent: "Spent", prices: "PriceList") -> str:
    """Write GPU hours and money, each where there is any; empty where there is neither."""
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
