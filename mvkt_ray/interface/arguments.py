"""Checks of arguments that verbs and functions share: folds, prices, limits, times, addresses.

Messages name an argument as on the command line, `--max-cost`; `python_errors` makes it `max_cost`.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
    from mvkt_ray.search.spending.budget import Limits

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_time_budget(text: str | None) -> float | None:
    """Return the seconds of `90s`, `30m`, `2h`, `1h30m` or a number of seconds.

    Raises:
        ConfigError: The text has another form, or the time is 0.
    """
    if text is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text)
    seconds = sum(float(number) * _SECONDS[unit or "s"] for number, unit in parts)
    if not re.fullmatch(r"(\s*\d+(?:\.\d+)?\s*[smhd]?)+\s*", text) or seconds <= 0:
        raise ConfigError(
            f"--time-budget {text!r} is not a time: write a number with s, m, h or d, for example "
            "30m or 1h30m."
        )
    return seconds


def read_ledger(text: str | None) -> "ServerAddress | None":
    """Return the address of a ledger's database; None for a ledger in the study's folder.

    Raises:
        ConfigError: The text is not the URL of a database, or contains a password.
    """
    from mvkt_ray.search.ledger.postgres.server_address import ServerAddress

    return None if text is None else ServerAddress.parse(text)


@dataclass(frozen=True, slots=True)
class RunnerChoice:
    """Selection of the runner.

    Raises:
        ConfigError: Both a cluster and this process are selected.
    """

    address: str | None = None
    """Address of a Ray cluster; None starts a cluster on this machine."""
    in_process: bool = False
    """Whether to run in this process, without Ray."""

    def __post_init__(self) -> None:
        if self.address is not None and self.in_process:
            raise ConfigError(
                f"--in-process and --address {self.address!r} exclude each other: leave one of "
                "them out."
            )


def passed_on(given: Mapping[str, Any], *own: str) -> dict[str, Any]:
    """Return the arguments of a function, its `locals()`, without its own ones.

    Verbs and functions have the argument names of the checking function that they call, and pass
    all of them without a repetition of their names.

    Args:
        given: Arguments by name.
        own: Names of arguments to omit.
    """
    return {name: value for name, value in given.items() if name not in own}


def with_folds(config: "StudyConfig", folds: str | None) -> "StudyConfig":
    """Return a study with the folds of a text such as `1-7/8/9`; unchanged for None.

    Raises:
        ConfigError: The text has another form, or contradicts the study.
    """
    from mvkt_ray.config.study_file import parse_folds

    if folds is None:
        return config
    parsed = parse_folds(folds)
    try:
        data = dataclasses.replace(config.data, folds=parsed)
    except ValueError as error:
        raise ConfigError(
            f"--folds {folds} contradicts the study's data section: {error}. Give other folds, or "
            "change the study file."
        ) from None
    return dataclasses.replace(config, data=data)


def with_prices(config: "StudyConfig", prices: str | Path | None) -> "StudyConfig":
    """Return a study with the prices of a file; unchanged for None.

    Raises:
        ConfigError: The file is invalid.
    """
    from mvkt_ray.config.study_file import read_prices

    if prices is None:
        return config
    resources = dataclasses.replace(config.resources, cost=read_prices(prices))
    return dataclasses.replace(config, resources=resources)


def read_limits(max_gpu_hours: float | None, max_cost: float | None) -> "Limits":
    """Return the limits of spending; None for no limit.

    Raises:
        ConfigError: A limit is not above 0.
    """
    from mvkt_ray.search.spending.budget import Limits

    for flag, value in (("--max-gpu-hours", max_gpu_hours), ("--max-cost", max_cost)):
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise ConfigError(f"{flag} must be above 0, got {value:g}. Leave it out for no limit.")
    return Limits(gpu_hours=max_gpu_hours, money=max_cost)


def with_finals(
    config: "StudyConfig", *, seeds: int | None, top_k: int | None, refit: bool
) -> "StudyConfig":
    """Return a study with changed finals; None leaves a value unchanged.

    Raises:
        ConfigError: A number is too small.
    """
    for flag, value, least in (("--seeds", seeds, 1), ("--top-k", top_k, 0)):
        if value is not None and value < least:
            raise ConfigError(f"{flag} must be at least {least}, got {value}.")
    finals = dataclasses.replace(
        config.finals,
        n_seeds=config.finals.n_seeds if seeds is None else seeds,
        n_configurations=config.finals.n_configurations if top_k is None else top_k,
        refit=refit or config.finals.refit,
    )
    return dataclasses.replace(config, finals=finals)
