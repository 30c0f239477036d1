"""Parts of sentences, tables and figures that every room writes alike: numbers, names, errors."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_PASSWORD = re.compile(r"(?s)(://[^/@\s:?#]*):(?!\d+(?:[/?#]|$)).*@")
"""A URL's, to its last `@`: whoever forgot to escape one has a password that holds it. Digits alone
up to a slash are a port."""

_SIGNED_IN = re.compile(r"(?i)(\bhttps?://)[^/@\s]+@")
_IN_QUERY = re.compile(
    r"(?i)([?&;][^=&;?]*(?:password|passwd|secret|token|api_?key|access_?key|\bsig|signature)=)"
    r"[^&;#\s]*"
)
HIDDEN = "***"
_SECRET_NAME = re.compile(
    r"(?i)password|passwd|secret|token|credential|api_?key|access_?key(?!_id)|storage_(?:account_)?key"
)

_MOST_LETTERS = 300
"""Of an error of another program: some answer with a whole page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberStyle:
    """How one medium writes numbers: scores and their differences with three digits in each."""

    minus: str = "-"
    nothing: str = "-"
    """Text for an undefined number."""
    to: str = " to "
    """Between the ends of an interval of scores."""
    space: str = " "
    """Before a unit."""
    signs_zero: bool = False
    """Whether a difference that rounds to zero keeps its sign."""

    def score(self, value: float | None) -> str:
        """Write `0.871`."""
        if value is None or not math.isfinite(value):
            return self.nothing
        return f"{value:.3f}".replace("-", self.minus)

    def signed(self, value: float | None) -> str:
        """Write `+0.004` or `-0.001`, and `0.000` without a sign unless `signs_zero`."""
        if value is None or not math.isfinite(value):
            return self.nothing
        text = f"{value:+.3f}"
        if float(text) == 0 and not self.signs_zero:
            return text[1:]
        return text.replace("-", self.minus)

    def interval(self, bounds: Sequence[float] | None) -> str:
        """Write the ends of an interval of scores."""
        if bounds is None:
            return self.nothing
        return f"{self.score(bounds[0])}{self.to}{self.score(bounds[1])}"

    def signed_interval(self, bounds: Sequence[float] | None) -> str:
        """Write the ends of an interval of differences, with a word between the two signs."""
        if bounds is None:
            return self.nothing
        return f"{self.signed(bounds[0])} to {self.signed(bounds[1])}"

    def p_value(self, value: float | None) -> str:
        """Write `0.034`, or `< 0.001`."""
        return "< 0.001" if value is not None and value < 0.001 else self.score(value)

    def spread(self, value: float | None, n_seeds: int) -> str:
        """Write a standard deviation over seeds; of one seed there is none."""
        if value is None or n_seeds < 2:
            return "one seed"
        return "< 0.001" if 0 < value < 0.0005 else self.score(value)

    def whole_percent(self, share: float | None) -> str:
        """Write a share that was estimated as `31 %`."""
        if share is None:
            return self.nothing
        return f"{100 * share:.0f}{self.space}%".replace("-", self.minus)

    def count(self, value: float | None) -> str:
        """Write `1,600`: a whole number, or a mean of such."""
        return self.nothing if value is None else f"{value:,.0f}"

    def short(self, value: float) -> str:
        """Write a number of any size with three digits: `7.25 k`, `2.4 M`."""
        for scale, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            # What rounds to 1000 of a unit is 1 of the next.
            if value >= 0.9995 * scale:
                return f"{value / scale:.3g}{self.space}{suffix}"
        return f"{value:.3g}"

    def rounded_duration(self, seconds: float | None) -> str:
        """Write `1.5 h`, `4 min` or `8 s`."""
        if seconds is None:
            return self.nothing
        if seconds < 0:
            return f"{self.minus}{self.rounded_duration(-seconds)}"
        if seconds >= 3600:
            return f"{seconds / 3600:.1f} h"
        return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"


PLAIN = NumberStyle()
"""Style of numbers in text files."""
TERMINAL = NumberStyle(signs_zero=True)
SENTENCE = NumberStyle(nothing="not defined")
PAGE = NumberStyle(
    minus="\N{MINUS SIGN}",
    nothing="\N{EM DASH}",
    # No line breaks after the dash, nor before a unit.
    to="\N{EN DASH}\N{WORD JOINER}",
    space="\N{NO-BREAK SPACE}",
)
"""Of HTML, and of the figures in it."""


def percent(share: float) -> str:
    """Write a share as `90 %` or `99.5 %`."""
    return f"{100 * share:.4g} %"


def duration(seconds: float) -> str:
    """Write `8.3 s`, `4 min 05 s` or `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def byte_size(size_bytes: float) -> str:
    """Write `12.3 MB`; units of 1000."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} TB"


def money(amount: float, currency: str) -> str:
    """Write `12.34 USD`; with more digits below one, where cents say little."""
    return f"{amount:,.2f} {currency}" if amount >= 1 else f"{amount:.3g} {currency}"


def listing(names: Sequence[str]) -> str:
    """Write names as in a sentence: `V6`, `V6 and I`, `V6, V5 and I`."""
    *others, last = names or ("",)
    return f"{', '.join(others)} and {last}" if others else last


def number_ranges(numbers: Iterable[int], separator: str = ", ") -> str:
    """Write whole numbers as `1-7, 9`, in ascending order."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return separator.join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of some names that is most like a misspelled one; None where none is.

    Upper and lower case count as equal.
    """
    return next(iter(_near(name, names)), None)


def did_you_mean(
    name: str, names: Iterable[str], *, elsewhere: Iterable[str] = (), otherwise: str = ""
) -> str:
    """End a sentence about an unknown name: with the one or two nearest there are, else with all.

    Args:
        name: What was given.
        names: What could have been given.
        elsewhere: Names `section.name` that are valid in other sections; looked through, by what is
            behind the last dot, where none of `names` is near.
        otherwise: What is said where none is near; by default all of `names`.

    Returns:
        `did you mean 'n_trials'?`, or `there is: n_trials, sampler.`
    """
    names = list(names)
    near = _near(name, names) or [n for n in elsewhere if _near(name, [n.rpartition(".")[2]])][:1]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return otherwise or (f"there is: {', '.join(names)}." if names else "there is none.")


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Return the two most similar names at most, the best first."""
    by_lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=2)
    return [by_lower[each] for each in close]


def without_passwords(word: str) -> str:
    """Write a word of a command line, or of a sentence, without the secrets of a URL in it."""
    hidden = _PASSWORD.sub(rf"\1:{HIDDEN}@", word)
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _SIGNED_IN.sub(rf"\1{HIDDEN}@", hidden))


def names_secret(variable: str) -> bool:
    """Whether an environment variable holds a secret, as far as its name tells."""
    return _SECRET_NAME.search(variable) is not None and not variable.endswith(("_PATH", "_FILE"))


def hide_passwords(text: str) -> str:
    """Write sentences or lines without the secrets of any URL in them."""
    return re.sub(r"\S+", lambda word: without_passwords(word[0]), text)


def one_line(error: BaseException, most: int = _MOST_LETTERS) -> str:
    """Write what an error says on one line, cut where it is long; its class if it says nothing."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def shortly(error: BaseException) -> str:
    """Write what a person needs of an error of many lines, such as one with a traceback.

    Its first line, and the last where the first only announces it; its class if it says nothing.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    text = f"{lines[0]} {lines[-1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    return text[:_MOST_LETTERS]
