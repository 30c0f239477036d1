"""How the report's page writes numbers and names: the same digits everywhere, a true minus sign."""

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

_MINUS = "\N{MINUS SIGN}"
_TO = "\N{EN DASH}\N{WORD JOINER}"
"""Between the ends of an interval; no line breaks after it."""
_FIXED_SPACE = "\N{NO-BREAK SPACE}"
_NOTHING = "\N{EM DASH}"

_CONTENDERS = {
    "chosen": "distilled",
    "student_alone": "student alone",
    "plain_kd": "plain distillation",
    "mkd_only": "MKD only",
    "clt_only": "CLT only",
}


def contender_name(name: str) -> str:
    """Return what a contender is called in words."""
    return _CONTENDERS.get(name, name.replace("_", " "))


def parameter_name(name: str) -> str:
    """Return a hyper-parameter's name in words."""
    return name.replace("_", " ")


def score(value: float | None) -> str:
    """Return a score with three digits; a dash where there is none."""
    return _NOTHING if value is None else f"{value:.3f}".replace("-", _MINUS)


def signed(value: float | None) -> str:
    """Return a difference with its sign and three digits; one that rounds to zero has none."""
    if value is None:
        return _NOTHING
    text = f"{value:+.3f}"
    return "0.000" if text in ("+0.000", "-0.000") else text.replace("-", _MINUS)


def interval(bounds: Sequence[float] | None) -> str:
    """Return the ends of an interval of scores."""
    return _NOTHING if bounds is None else f"{score(bounds[0])}{_TO}{score(bounds[1])}"


def signed_interval(bounds: Sequence[float] | None) -> str:
    """Return the ends of an interval of differences."""
    return _NOTHING if bounds is None else f"{signed(bounds[0])} to {signed(bounds[1])}"


def percent(value: float | None) -> str:
    """Return a share as whole percent."""
    return _NOTHING if value is None else f"{100 * value:.0f}{_FIXED_SPACE}%".replace("-", _MINUS)


def p_value(value: float | None) -> str:
    """Return a p-value with three digits."""
    if value is None:
        return _NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def count(value: int | None) -> str:
    """Return a whole number with its thousands apart."""
    return _NOTHING if value is None else f"{value:,}"


def duration(seconds: float | None) -> str:
    """Return a time in the unit that suits it."""
    if seconds is None:
        return _NOTHING
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


def listing(names: Sequence[str]) -> str:
    """Return names as in a sentence: `V6, V5 and I`."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def sentence(text: str) -> str:
    """Return a text that ends as a sentence does."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def with_code(text: str) -> Markup:
    """Return a sentence whose `backticks` are set as code, with the page's minus and % signs."""
    text = re.sub(r"(?<![\w.-])-(?=\d)", _MINUS, text.replace(" %", f"{_FIXED_SPACE}%"))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


FILTERS = {
    "contender_name": contender_name,
    "parameter_name": parameter_name,
    "score": score,
    "signed": signed,
    "interval": interval,
    "signed_interval": signed_interval,
    "percent": percent,
    "p_value": p_value,
    "count": count,
    "duration": duration,
    "setting": setting,
    "listing": listing,
    "sentence": sentence,
    "with_code": with_code,
}
"""What the templates of the page call, by name."""
