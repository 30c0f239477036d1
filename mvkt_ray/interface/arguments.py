"""Arguments that verbs and functions share: folds, prices, limits, times, addresses; checked once.

Texts name an argument as the command line does, `--max-cost`; `python_errors` writes `max_cost`.
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
    """Read `90s`, `30m`, `2h`, `1h30m` or a number of seconds.

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
    """Read where a ledger is to be; None: in the study's folder.

    Raises:
        ConfigError: It is no URL of a database, or holds a password.
    """
    from mvkt_ray.search.ledger.postgres.server_address import ServerAddress

    return None if text is None else ServerAddress.parse(text)


@dataclass(frozen=True, slots=True)
class RunnerChoice:
    """Which runner does the work.

    Raises:
        ConfigError: A cluster is given, and this process.
    """

    address: str | None = None
    """Of a Ray cluster; None starts one on this machine."""
    in_process: bool = False
    """Do not use Ray at all."""

    def __post_init__(self) -> None:
        if self.address is not None and self.in_process:
            raise ConfigError(
                f"--in-process and --address {self.address!r} exclude each other: leave one of "
                "them out."
            )


def passed_on(given: Mapping[str, Any], *own: str) -> dict[str, Any]:
    """Return the arguments of a function, its `locals()`, without those that it uses itself.

    Verbs and functions name their arguments as the call does that checks them, and need not repeat
    them one by one.
    """
    return {name: value for name, value in given.items() if name not in own}


def with_folds(config: "StudyConfig", folds: str | None) -> "StudyConfig":
    """Return a study with other folds, as `1-7/8/9`, if they were given.

    Raises:
        ConfigError: They cannot be read.
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
    """Return a study with the prices of a file, if one was given.

    Raises:
        ConfigError: The file is wrong.
    """
    from mvkt_ray.config.study_file import read_prices

    if prices is None:
        return config
    resources = dataclasses.replace(config.resources, cost=read_prices(prices))
    return dataclasses.replace(config, resources=resources)


def read_limits(max_gpu_hours: float | None, max_cost: float | None) -> "Limits":
    """Read what may be spent.

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
    """Return a study whose finals are as asked; None leaves them as they are.

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
