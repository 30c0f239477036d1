"""Names of contenders and hyper-parameters in words, and the filters of page templates."""

import re
from datetime import datetime

from markupsafe import Markup, escape

from mvkt_ray.phrasing import PAGE, listing

_CONTENDERS = {
    "chosen": "distilled",
    "student_alone": "student alone",
    "plain_kd": "plain distillation",
    "mkd_only": "MKD only",
    "clt_only": "CLT only",
}


def contender_name(name: str) -> str:
    """Return the name of a contender in words."""
    chosen, _, rank = name.partition("_")
    if chosen == "chosen" and rank.isdecimal():
        return f"{_CONTENDERS[chosen]} {rank}"
    return _CONTENDERS.get(name, name)


def student_name(contender: str) -> str:
    """Return the name of a contender's student within a sentence."""
    if contender == "chosen":
        return "distilled student"
    if contender == "student_alone":
        return "student alone"
    return f"contender {contender_name(contender)}"


def parameter_name(name: str) -> str:
    """Return a hyper-parameter's name in words."""
    return name.replace("_", " ")


def setting(value: object) -> str:
    """Write a hyper-parameter's value, a float with three significant digits."""
    if value is None:
        return PAGE.nothing
    if isinstance(value, float):
        return f"{value:.3g}"
    return "yes" if value is True else "no" if value is False else str(value)


def breakable(text: str) -> Markup:
    """Return a name as HTML that may wrap after an underscore."""
    return escape(text).replace("_", Markup("_<wbr>"))


def sentence(text: str) -> str:
    """Return a text with a full stop at its end, unless it has an end mark."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def with_code(text: str) -> Markup:
    """Return a sentence as HTML, its commands marked as code, with the page's minus and % signs.

    A sentence may contain names from data, so only the report's own patterns are replaced: commands
    such as `mvkt verb`, and numbers with three decimals.
    """
    text = re.sub(r"(?<![\w.-])-(?=\d\.\d{3}\b)", PAGE.minus, text)
    text = re.sub(r"(?<=\d) %", f"{PAGE.space}%", text)
    return Markup(re.sub(r"`(mvkt [a-z]+)`", r"<code>\1</code>", str(escape(text))))


def moment(text: str) -> str:
    """Write a time in ISO 8601 as `1 December 2026, 16:40 UTC`."""
    return f"{datetime.fromisoformat(text):%d %B %Y, %H:%M} UTC".lstrip("0")


FILTERS = {
    "contender_name": contender_name,
    "parameter_name": parameter_name,
    "setting": setting,
    "breakable": breakable,
    "sentence": sentence,
    "with_code": with_code,
    "listing": listing,
    "score": PAGE.score,
    "signed": PAGE.signed,
    "interval": PAGE.interval,
    "signed_interval": PAGE.signed_interval,
    "percent": PAGE.whole_percent,
    "p_value": PAGE.p_value,
    "spread": PAGE.spread,
    "count": PAGE.count,
    "short_number": PAGE.short,
    "duration": PAGE.rounded_duration,
}
"""Filters of the page templates, by name."""
