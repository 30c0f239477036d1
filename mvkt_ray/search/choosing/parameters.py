"""One row of a search space: from its text in the study file to a distribution of Optuna."""

import math
import typing
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mvkt_ray.config.recipes import NO_PLUGIN, Hyperparameters
from mvkt_ray.config.search_config import ParameterConfig, Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.models.network_table import network_names
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.plugins.entry_points import plugin_names

Distribution = FloatDistribution | IntDistribution | CategoricalDistribution

_STEP_TOLERANCE = 1e-9
"""(high - low) / step of decimal fractions is a whole number only up to rounding."""


def require_name(where: str, name: str) -> None:
    """Raise unless there is a hyper-parameter of this name.

    Raises:
        ConfigError: Names the nearest one.
    """
    if name not in Hyperparameters.names():
        raise ConfigError(
            f"{where}: there is no hyper-parameter {name!r}; "
            f"{did_you_mean(name, Hyperparameters.names())}"
        )


def read_value(name: str, value: Scalar, where: str) -> Scalar:
    """Give a value of the study file the type of its hyper-parameter.

    YAML reads `1e-4` as text; where a number is due, such text is read as one.

    Raises:
        ConfigError: The value has another type, or is no name that the hyper-parameter may have.
    """
    kind, names = _type_of(name)
    if kind is str:
        if names and value not in names:
            hint = did_you_mean(str(value), names)
            raise ConfigError(f"{where}: {name} cannot be {value!r}; {hint}{_offered(name)}")
        if not isinstance(value, str):
            raise ConfigError(f"{where}: {name} must be a string, got {value!r}.")
        return value
    number = _as_number(value)
    if number is None or (kind is int and not number.is_integer()):
        what = "a whole number" if kind is int else "a finite number"
        raise ConfigError(f"{where}: {name} must be {what}, got {value!r}.")
    return int(number) if kind is int else number


def read_distribution(
    name: str, row: ParameterConfig, defaults: Mapping[str, Scalar]
) -> Distribution:
    """Read a range or a list of choices, and check that every end of it can be trained with.

    Args:
        name: A hyper-parameter.
        row: Its row in the study file; not a fixed value.
        defaults: Every hyper-parameter, to check this one's values beside the others'.

    Raises:
        ConfigError: Names the key and the value.
    """
    where = f"space.{name}"
    if row.choices is not None:
        choices = tuple(read_value(name, choice, f"{where}.choices") for choice in row.choices)
        twice = [choice for choice in choices if choices.count(choice) > 1]
        if twice:
            raise ConfigError(f"{where}.choices has {twice[0]!r} more than once: remove one.")
        for choice in choices:
            check_hyperparameters({**defaults, name: choice}, f"{where}.choices")
        return CategoricalDistribution(choices)
    assert row.low is not None
    assert row.high is not None
    kind, names = _type_of(name)
    if kind is str:
        raise ConfigError(
            f"{where} has low and high, but {name} takes names, not numbers. Give "
            f"`choices`{': ' + ', '.join(names) if names else ''}."
        )
    is_whole = row.integer or kind is int
    for key, value in (("low", row.low), ("high", row.high), ("step", row.step)):
        if value is not None and not math.isfinite(value):
            raise ConfigError(f"{where}.{key} must be a finite number, got {value!r}.")
        if value is not None and is_whole and not float(value).is_integer():
            raise ConfigError(f"{where}.{key} must be a whole number, got {value!r}.")
    _check_steps(where, row)
    for key, bound in (("low", row.low), ("high", row.high)):
        value = read_value(name, bound, f"{where}.{key}")
        check_hyperparameters({**defaults, name: value}, f"{where}.{key}")
    if is_whole:
        step = int(row.step or 1)
        return IntDistribution(int(row.low), int(row.high), log=row.log, step=step)
    return FloatDistribution(row.low, row.high, log=row.log, step=row.step)


def check_hyperparameters(values: Mapping[str, Scalar], where: str) -> None:
    """Raise unless these values can be trained with.

    Raises:
        ConfigError: Says which value of which key is wrong.
    """
    student = values["student"]
    if student not in network_names():
        hint = did_you_mean(str(student), network_names())
        raise ConfigError(f"{where}: there is no network {student!r}; {hint}{_offered('student')}")
    try:
        replace(Hyperparameters(), **typing.cast(Mapping[str, Any], values))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}. Change it in the study file.") from None


def contains(distribution: Distribution, value: Scalar) -> bool:
    """Whether a distribution could have drawn a value."""
    if isinstance(distribution, CategoricalDistribution):
        return any(
            type(choice) is type(value) and choice == value for choice in distribution.choices
        )
    if isinstance(value, str | bool) or not distribution.low <= value <= distribution.high:
        return False
    if isinstance(distribution, IntDistribution) and not float(value).is_integer():
        return False
    return distribution.step is None or _is_whole((value - distribution.low) / distribution.step)


def suggest(trial: optuna.Trial, name: str, distribution: Distribution) -> Scalar:
    """Ask a trial of Optuna for the value of a parameter."""
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            value = trial.suggest_categorical(name, choices)
            assert value is not None
            return value


def default_or_middle(distribution: Distribution, default: Scalar) -> Scalar:
    """Return a default if it could be drawn, else the middle of the range or the first choice."""
    if contains(distribution, default):
        return default
    if isinstance(distribution, CategoricalDistribution):
        first = distribution.choices[0]
        assert first is not None
        return first
    low, high = distribution.low, distribution.high
    middle = math.sqrt(low * high) if distribution.log else (low + high) / 2
    if distribution.step:
        middle = low + round((middle - low) / distribution.step) * distribution.step
    return round(middle) if isinstance(distribution, IntDistribution) else middle


def shown(what: Distribution | Mapping[str, Scalar]) -> str:
    """Write a distribution or some values for people."""
    match what:
        case CategoricalDistribution(choices=choices):
            return f"choices {list(choices)}"
        case FloatDistribution(low=low, high=high) | IntDistribution(low=low, high=high):
            return f"the range {low:g} to {high:g}"
        case _:
            return ", ".join(f"{name}={value!r}" for name, value in what.items())


def _type_of(name: str) -> tuple[type, tuple[str, ...]]:
    """Return the type of a hyper-parameter, and the names it may have if it is one of a few."""
    if name == "student":
        return str, network_names()
    if name == "plugin_loss":
        return str, (NO_PLUGIN, *plugin_names("loss"))
    hint = typing.get_type_hints(Hyperparameters)[name]
    if typing.get_origin(hint) is Literal:
        return str, typing.get_args(hint)
    return hint, ()


def _offered(name: str) -> str:
    """End a sentence about a name that a package which is not installed may offer."""
    if name not in ("student", "plugin_loss"):
        return ""
    return " Plug-ins must be installed: `mvkt plugins` lists the installed ones."


def _as_number(value: Scalar) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _check_steps(where: str, row: ParameterConfig) -> None:
    """Refuse a range whose end no whole number of steps reaches; Optuna would move the end."""
    if row.step is None or row.low is None or row.high is None:
        return
    n_steps = (row.high - row.low) / row.step
    if not _is_whole(n_steps):
        nearest = row.low + math.floor(n_steps) * row.step
        raise ConfigError(
            f"{where}.high is {row.high:g}, which is not a whole number of steps of {row.step:g} "
            f"above {row.low:g}. Set high to {nearest:g}, or change the step."
        )


def _is_whole(number: float) -> bool:
    return math.isclose(number, round(number), rel_tol=0.0, abs_tol=_STEP_TOLERANCE)
