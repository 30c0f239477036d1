"""How the report's page writes numbers and names: the same digits everywhere, a true minus sign."""

import re

from markupsafe import Markup, escape

from mvkt_ray.phrasing import NumberStyle, listing

_MINUS = "\N{MINUS SIGN}"
_FIXED_SPACE = "\N{NO-BREAK SPACE}"
_NOTHING = "\N{EM DASH}"

# No line breaks after the dash between the ends of an interval.
PAGE = NumberStyle(minus=_MINUS, nothing=_NOTHING, to="\N{EN DASH}\N{WORD JOINER}")

_SMALLEST_P = 0.001
_SMALLEST_SPREAD = 0.001

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


score = PAGE.score
signed = PAGE.signed
interval = PAGE.interval
signed_interval = PAGE.signed_interval


def percent(value: float | None) -> str:
    """Return a share as whole percent."""
    return _NOTHING if value is None else f"{100 * value:.0f}{_FIXED_SPACE}%".replace("-", _MINUS)


def spread(value: float | None, n_seeds: int) -> str:
    """Return a standard deviation over seeds; of one seed there is none."""
    if value is None or n_seeds < 2:
        return "one seed"
    return f"< {_SMALLEST_SPREAD:g}" if 0 < value < _SMALLEST_SPREAD / 2 else PAGE.score(value)


def p_value(value: float | None) -> str:
    """Return a p-value with three digits."""
    if value is None:
        return _NOTHING
    return f"< {_SMALLEST_P:g}" if value < _SMALLEST_P else PAGE.score(value)


def count(value: int | None) -> str:
    """Return a whole number with its thousands apart."""
    return _NOTHING if value is None else f"{value:,}"


def short_number(value: float) -> str:
    """Return a number of any size with three digits: `7.25 k`, `2.4 M`."""
    for scale, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # What rounds to 1000 of a unit is 1 of the next.
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{_FIXED_SPACE}{suffix}"
    return f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """Return a time in the unit that suits it."""
    if seconds is None:
        return _NOTHING
    if seconds < 0:
        return f"{_MINUS}{duration(-seconds)}"
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    if seconds >= 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds:.0f} s"


def setting(value: object) -> str:
    """Return a hyper-parameter's value; three digits that count are enough to compare."""
    if value is None:
        return _NOTHING
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
    text = re.sub(r"(?<![\w.-])-(?=\d\.\d{3}\b)", _MINUS, text)
    text = re.sub(r"(?<=\d) %", f"{_FIXED_SPACE}%", text)
    return Markup(re.sub(r"`(mvkt [a-z]+)`", r"<code>\1</code>", str(escape(text))))


FILTERS = {
    "contender_name": contender_name,
    "parameter_name": parameter_name,
    "score": score,
    "signed": signed,
    "interval": interval,
    "signed_interval": signed_interval,
    "percent": percent,
    "p_value": p_value,
    "spread": spread,
    "student_name": student_name,
    "count": count,
    "short_number": short_number,
    "duration": duration,
    "setting": setting,
    "breakable": breakable,
    "listing": listing,
    "sentence": sentence,
    "with_code": with_code,
}
"""What the templates of the page call, by name."""
