"""Turns the options of a source, from YAML or the command line, into its fields."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean


def checked_options(source: str, cls: type[Any], options: Mapping[str, object]) -> dict[str, Any]:
    """Return the options as arguments of the dataclass `cls`.

    Text is read as the type of the field, so that a command line can give options too; a list may
    be text with commas.

    Raises:
        ConfigError: for an unknown option, with the nearest valid name, or a wrong type.
    """
    hints = get_type_hints(cls)
    valid = [item.name for item in fields(cls) if item.name != "location"]
    arguments: dict[str, Any] = {}
    for name, value in options.items():
        if name not in valid:
            raise ConfigError(
                f"the source {source!r} has no option {name!r} (got {value!r}); "
                f"{did_you_mean(name, valid)}"
            )
        try:
            arguments[name] = _converted(value, hints[name])
        except ValueError as cause:
            raise ConfigError(
                f"the option {name!r} of the source {source!r} is {value!r}, but must be {cause}."
            ) from None
    return arguments


def _converted(value: object, hint: Any) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        if value is None or value == "":
            return None
        hint = next(item for item in get_args(hint) if item is not type(None))
    if hint is bool:
        return _bool(value)
    if hint is int or hint is float:
        return _number(value, hint)
    if get_origin(hint) is tuple:
        return _names(value)
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def _bool(value: object) -> bool:
    word = str(value).lower()
    if isinstance(value, bool) or word in ("true", "false"):
        return word == "true"
    raise ValueError("true or false")


def _number(value: object, kind: type[int] | type[float]) -> int | float:
    wanted = "a whole number" if kind is int else "a number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(wanted)
    try:
        number = float(value)
        if kind is float:
            return number
        if number == int(number):
            return int(number)
    except (ValueError, OverflowError):
        raise ValueError(wanted) from None
    raise ValueError(wanted)


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("a list of names")
