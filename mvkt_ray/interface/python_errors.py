"""Errors as somebody who calls a function reads them: of this package's kinds, without flags.

Arguments are checked by their annotations. What the machine does becomes a `MachineError`, as on
the command line. A text that names a flag, `--max-cost`, names the argument instead, `max_cost`; a
whole command in it stays one.
"""

import contextlib
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar

from pydantic import ConfigDict, ValidationError, validate_call

from mvkt_ray.errors import ConfigError, MvktError
from mvkt_ray.machine_faults import machine_fault
from mvkt_ray.phrasing import did_you_mean, listing

_P = ParamSpec("_P")
_R = TypeVar("_R")

_FLAG = re.compile(r"(?<![\w-])--([a-z]+(?:-[a-z]+)*)")
_MOST_LETTERS = 80
"""Of a wrong value, in a sentence: somebody may give a whole table."""

_COMMAND = re.compile(r"(^|\b[Rr]un |\bby )mvkt [a-z-]+")
"""Where a text quotes one: as a part of its own, or as what is to be run."""
_SWITCHES = frozenset(
    {
        *("resume", "in-process", "refit", "now", "start-over", "without-failed", "strict"),
        "from-search",
    }
)
"""Flags without a value: as an argument, one that is set."""


def for_python(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a public function refuse arguments of a wrong name or type in a sentence.

    What goes wrong in it is told as by `told_to_python`.
    """
    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)

    @functools.wraps(function)
    def call(*arguments: _P.args, **options: _P.kwargs) -> _R:
        with told_to_python():
            try:
                return checked(*arguments, **options)
            except ValidationError as error:
                raise ConfigError(_explain(function, error)) from None

    return call


def _explain(function: Callable[..., Any], error: ValidationError) -> str:
    parameters = inspect.signature(function).parameters
    # What is too much explains what is missing.
    errors = sorted(error.errors(), key=lambda each: not each["type"].startswith("unexpected"))
    first = errors[0]
    if first["type"] == "unexpected_positional_argument":
        placed = [each.name for each in parameters.values() if each.kind is not each.KEYWORD_ONLY]
        return f"{function.__name__}: give all arguments except {listing(placed)} by name."
    # One that was given by its place is named by that.
    place, message = first["loc"][0], first["msg"]
    name = place if isinstance(place, str) else list(parameters)[place]
    if first["type"] == "unexpected_keyword_argument":
        return (
            f"{function.__name__}: there is no argument {name!r}; {did_you_mean(name, parameters)}"
        )
    if name not in parameters or "missing" in first["type"]:
        return f"{function.__name__}: {name}: {message[0].lower()}{message[1:]}."
    kinds = _kinds(parameters[name].annotation)
    said = f"{message[0].lower()}{message[1:]}"
    n_places = len({each["loc"] for each in errors if each["loc"][0] == place})
    if n_places > 1 or first["type"] == "dataclass_type":
        said = f"it must be one of {', '.join(kinds)}"
    return f"{function.__name__}: {name}: {said}, got {_shown(first['input'])}."


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]} ..."


def _kinds(annotation: Any) -> list[str]:
    if isinstance(annotation, types.UnionType):
        return [name for each in typing.get_args(annotation) for name in _kinds(each)]
    name = getattr(annotation, "__name__", str(annotation))
    return ["None" if annotation is types.NoneType else name]


@contextlib.contextmanager
def told_to_python() -> Generator[None]:
    """Raise what goes wrong in the block as a caller of this package expects it.

    Raises:
        MvktError: Of any kind.
    """
    try:
        yield
    except MvktError as error:
        # Written as words: the type, and what an error says beside its text, stay.
        error.args = (without_flags(str(error)), *error.args[1:])
        raise
    except Exception as error:
        fault = machine_fault(error)
        if fault is None:
            raise
        raise fault from error


def without_flags(text: str) -> str:
    """Write flags as arguments, but for those of a command that a text quotes.

    >>> without_flags("x is in use. Go on by --resume, or give another --out.")
    'x is in use. Go on by resume=True, or give another out.'
    >>> without_flags("Go on with it: mvkt search --resume --out x")
    'Go on with it: mvkt search --resume --out x'
    """
    quoted = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _plain_text(part) for part in quoted)


def _plain_text(text: str) -> str:
    # A command that stands after a colon goes to the end of its sentence.
    sentences = re.split(r"(?<=[.;:])(\s+)", text)
    return "".join(
        part if _COMMAND.search(part) else _FLAG.sub(_argument, part) for part in sentences
    )


def _argument(flag: re.Match[str]) -> str:
    name = flag[1]
    return name.replace("-", "_") + ("=True" if name in _SWITCHES else "")
