"""What contenders and hyper-parameters are called, and what the templates of pages call."""

import re

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
    """Return what a contender is called in words."""
    chosen, _, rank = name.partition("_")
    if chosen == "chosen" and rank.isdecimal():
        return f"{_CONTENDERS[chosen]} {rank}"
    return _CONTENDERS.get(name, name)


def student_name(contender: str) -> str:
    """Return what the student of a contender is called within a sentence."""
    if contender == "chosen":
        return "distilled student"
    if contender == "student_alone":
        return "student alone"
    return f"contender {contender_name(contender)}"


def parameter_name(name: str) -> str:
    """Return a hyper-parameter's name in words."""
    return name.replace("_", " ")


def setting(value: object) -> str:
    """Return a hyper-parameter's value; three digits that count are enough to compare."""
    if value is None:
        return PAGE.nothing
    if isinstance(value, float):
        return f"{value:.3g}"
    return "yes" if value is True else "no" if value is False else str(value)


def breakable(text: str) -> Markup:
    """Return a name that may go on in another line after an underscore."""
    return escape(text).replace("_", Markup("_<wbr>"))


def sentence(text: str) -> str:
    """Return a text that ends as a sentence does."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def with_code(text: str) -> Markup:
    """Return a sentence whose commands are set as code, with the page's minus and % signs.

    A sentence may have names from data: only what the report writes itself is changed, commands as
    `mvkt verb`, numbers with three digits.
    """
    text = re.sub(r"(?<![\w.-])-(?=\d\.\d{3}\b)", PAGE.minus, text)
    text = re.sub(r"(?<=\d) %", f"{PAGE.space}%", text)
    return Markup(re.sub(r"`(mvkt [a-z]+)`", r"<code>\1</code>", str(escape(text))))


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
"""What the templates of pages call, by name."""
