"""Numbers, names and errors in sentences, tables and figures, in one form for all rooms."""

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_PASSWORD = re.compile(r"(?s)(://[^/@\s:?#]*):(?!\d+(?:[/?#]|$)).*@")
"""Password in a URL, up to the last `@`, as a password may contain an unescaped one. Digits alone
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
"""Longest excerpt of another program's error message, which may be a whole page."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberStyle:
    """Format of numbers in one medium: scores and differences with three decimals.

    A value that rounds to zero has no sign in any of them.
    """

    minus: str = "-"
    nothing: str = "-"
    """Text for an undefined number."""
    to: str = " to "
    """Between the ends of an interval of scores."""
    space: str = " "
    """Before a unit."""

    def score(self, value: float | None) -> str:
        """Write `0.871`."""
        if value is None or not math.isfinite(value):
            return self.nothing
        return f"{value:z.3f}".replace("-", self.minus)

    def signed(self, value: float | None) -> str:
        """Write `+0.004`, `-0.001` or `0.000`."""
        if value is None or not math.isfinite(value):
            return self.nothing
        text = f"{value:+z.3f}"
        return "0.000" if text == "+0.000" else text.replace("-", self.minus)

    def interval(self, bounds: Sequence[float] | None) -> str:
        """Write the ends of an interval of scores."""
        if bounds is None:
            return self.nothing
        return f"{self.score(bounds[0])}{self.to}{self.score(bounds[1])}"

    def signed_interval(self, bounds: Sequence[float] | None) -> str:
        """Write the ends of an interval of differences; a dash would look like a minus sign."""
        if bounds is None:
            return self.nothing
        return f"{self.signed(bounds[0])} to {self.signed(bounds[1])}"

    def p_value(self, value: float | None) -> str:
        """Write `0.034`, or `< 0.001`."""
        return "< 0.001" if value is not None and value < 0.001 else self.score(value)

    def spread(self, value: float | None, n_seeds: int) -> str:
        """Write a standard deviation over seeds, or `one seed`."""
        if value is None or n_seeds < 2:
            return "one seed"
        return "< 0.001" if 0 < value < 0.0005 else self.score(value)

    def whole_percent(self, share: float | None) -> str:
        """Write an estimated share as `31 %`."""
        if share is None:
            return self.nothing
        return f"{100 * share:z.0f}{self.space}%".replace("-", self.minus)

    def count(self, value: float | None) -> str:
        """Write a count, or the mean of counts, as `1,600`."""
        return self.nothing if value is None else f"{value:,.0f}"

    def short(self, value: float) -> str:
        """Write a number of any size with three significant digits: `7.25 k`, `2.4 M`."""
        for scale, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            # A number that rounds to 1000 of a unit is 1 of the next.
            if value >= 0.9995 * scale:
                return f"{value / scale:.3g}{self.space}{suffix}"
        return f"{value:.3g}"

    def rounded_duration(self, seconds: float | None) -> str:
        """Write `1.5 h`, `4 min` or `8 s`."""
        if seconds is None:
            return self.nothing
        if abs(seconds) >= 3600:
            text = f"{seconds / 3600:.1f} h"
        else:
            text = f"{seconds / 60:.0f} min" if abs(seconds) >= 60 else f"{seconds:z.0f} s"
        return text.replace("-", self.minus)


TERMINAL = NumberStyle()
"""Style of numbers in terminals and text files."""
SENTENCE = NumberStyle(nothing="not defined")
PAGE = NumberStyle(
    minus="\N{MINUS SIGN}",
    nothing="\N{EM DASH}",
    # No line breaks after the dash, nor before a unit.
    to="\N{EN DASH}\N{WORD JOINER}",
    space="\N{NO-BREAK SPACE}",
)
"""Style of numbers in HTML and in its figures."""


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
    """Write `12.3 MB`, in units of 1000 bytes."""
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} TB"


def money(amount: float, currency: str) -> str:
    """Write `12.34 USD`, or `0.00123 USD`."""
    return f"{money_amount(amount)} {currency}"


def money_amount(amount: float) -> str:
    """Write money without its currency; with three significant digits below 1."""
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.3g}"


def counted(number: float, noun: str) -> str:
    """Write `1 GPU`, `0.5 GPUs` or `1,600 GPUs`.

    Args:
        number: At most twelve significant digits are written.
        noun: Singular noun, whose plural ends in s.
    """
    return f"{number:,.12g} {noun}{'' if number == 1 else 's'}"


def listing(names: Sequence[str]) -> str:
    """Write names as a list in a sentence: `V6`, `V6 and I`, `V6, V5 and I`."""
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
    """Return the name most similar to a misspelled one, ignoring case; None if none is similar."""
    return next(iter(_near(name, names)), None)


def did_you_mean(
    name: str, names: Iterable[str], *, elsewhere: Iterable[str] = (), otherwise: str = ""
) -> str:
    """Return the end of a message about an unknown name: the nearest valid names, or all of them.

    Args:
        name: The unknown name.
        names: Valid names.
        elsewhere: Names `section.name` that are valid in other sections. They are compared by the
            part after the last dot, and only if none of `names` is similar.
        otherwise: Text if no name is similar; by default the list of all `names`.

    Returns:
        `did you mean 'n_trials'?`, or `there is: n_trials, sampler.`, or, without any valid name,
        `there are none.`
    """
    names = list(names)
    near = _near(name, names) or [n for n in elsewhere if _near(name, [n.rpartition(".")[2]])][:1]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    return otherwise or (f"there is: {', '.join(names)}." if names else "there are none.")


def _near(name: str, names: Iterable[str]) -> list[str]:
    """Return at most two similar names, the most similar first."""
    by_lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), by_lower, n=2)
    return [by_lower[each] for each in close]


def without_passwords(word: str) -> str:
    """Return a word of a command line or a sentence, with the secrets of a URL in it hidden."""
    hidden = _PASSWORD.sub(rf"\1:{HIDDEN}@", word)
    return _IN_QUERY.sub(rf"\1{HIDDEN}", _SIGNED_IN.sub(rf"\1{HIDDEN}@", hidden))


def names_secret(variable: str) -> bool:
    """Return whether an environment variable holds a secret, judged by its name."""
    return _SECRET_NAME.search(variable) is not None and not variable.endswith(("_PATH", "_FILE"))


def hide_passwords(text: str) -> str:
    """Return a text of any length with the secrets of all URLs in it hidden."""
    return re.sub(r"\S+", lambda word: without_passwords(word[0]), text)


def one_line(error: BaseException, most: int = _MOST_LETTERS) -> str:
    """Return an error's message on one line of at most `most` letters; its class if it is empty."""
    return " ".join(str(error).split())[:most] or type(error).__name__


def shortly(error: BaseException) -> str:
    """Return the essence of a message of many lines, such as one with a traceback.

    Returns:
        The first line, with the last one appended if the first ends with a colon; the error's class
        if the message is empty.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    text = f"{lines[0]} {lines[-1]}" if lines[0].endswith(":") and len(lines) > 1 else lines[0]
    return text[:_MOST_LETTERS]
