"""Errors of public functions: this package's classes, and argument names instead of flags.

Arguments are checked by their annotations. Faults of the machine become a `MachineError`, as on the
command line. A flag in a message, `--max-cost`, becomes the argument, `max_cost`, except within a
quoted command.
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
"""Most letters of a wrong value in a message, as a value may be a whole table."""

_COMMAND = re.compile(r"(^|\b[Rr]un |\bby )mvkt [a-z-]+")
"""Beginning of a quoted command: at the start of a part, or after `run` or `by`."""
_SWITCHES = frozenset(
    {
        *("resume", "in-process", "refit", "now", "start-over", "without-failed", "strict"),
        "from-search",
    }
)
"""Flags without a value, which become arguments with `=True`."""


def for_python(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a public function: check its arguments, and convert its errors.

    A wrong name or type of an argument raises a `ConfigError` with one sentence. Errors of the
    function are converted by `converted_errors`.
    """
    checked = validate_call(config=ConfigDict(arbitrary_types_allowed=True))(function)

    @functools.wraps(function)
    def call(*arguments: _P.args, **options: _P.kwargs) -> _R:
        with converted_errors():
            try:
                return checked(*arguments, **options)
            except ValidationError as error:
                raise ConfigError(_explain(function, error)) from None

    return call


def _explain(function: Callable[..., Any], error: ValidationError) -> str:
    parameters = inspect.signature(function).parameters
    # First an unexpected argument, as a misspelled name also causes a missing argument.
    errors = sorted(error.errors(), key=lambda each: not each["type"].startswith("unexpected"))
    first = errors[0]
    if first["type"] == "unexpected_positional_argument":
        placed = [each.name for each in parameters.values() if each.kind is not each.KEYWORD_ONLY]
        return f"{function.__name__}: give all arguments except {listing(placed)} by name."
    # pydantic states the position of a positional argument instead of its name.
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
def converted_errors() -> Generator[None]:
    """Convert errors of the block for callers from Python.

    Raises:
        MvktError: An error of this package, without flags in its message, or a fault of the
            machine.
    """
    try:
        yield
    except MvktError as error:
        # Only the message changes: class and further arguments of the error stay.
        error.args = (without_flags(str(error)), *error.args[1:])
        raise
    except Exception as error:
        fault = machine_fault(error)
        if fault is None:
            raise
        raise fault from error


def without_flags(text: str) -> str:
    """Return a message with arguments instead of flags, except in quoted commands.

    >>> without_flags("x is in use. Go on by --resume, or give another --out.")
    'x is in use. Go on by resume=True, or give another out.'
    >>> without_flags("Go on with it: mvkt search --resume --out x")
    'Go on with it: mvkt search --resume --out x'
    """
    quoted = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _plain_text(part) for part in quoted)


def _plain_text(text: str) -> str:
    # A command after a colon extends to the end of its sentence.
    sentences = re.split(r"(?<=[.;:])(\s+)", text)
    return "".join(
        part if _COMMAND.search(part) else _FLAG.sub(_argument, part) for part in sentences
    )


def _argument(flag: re.Match[str]) -> str:
    name = flag[1]
    return name.replace("-", "_") + ("=True" if name in _SWITCHES else "")
