"""Flags that several verbs share, and the reading of small texts such as `30m` and `key=value`."""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
    from mvkt_ray.search.spending.budget import Limits


def not_empty(value: str | None) -> str | None:
    """Refuse a location that is no text at all, and would stand for the working directory.

    Raises:
        ConfigError: It is empty, or spaces only.
    """
    if value is not None and not value.strip():
        raise ConfigError(
            "a location on the command line is empty, perhaps a variable of the shell that is not "
            "set. Give the path of a folder, or ./ for the one you are in."
        )
    return value


Json = Annotated[
    bool,
    typer.Option("--json", help="Write the answer as JSON on stdout, everything else on stderr."),
]
StudyDir = Annotated[
    str,
    typer.Argument(
        metavar="STUDY_DIR",
        help="Folder of a study, or its URI: s3://, gs://, abfss://.",
        callback=not_empty,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Write the final answer only.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with what an interrupted run left unfinished.")
]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster to use: auto, ray://HOST:PORT or HOST:PORT. "
        "By default a Ray of its own is started on this machine.",
    ),
]
InProcess = Annotated[
    bool, typer.Option("--in-process", help="Do the work in this process, without Ray.")
]
Folds = Annotated[
    str | None,
    typer.Option(
        metavar="TRAIN/VAL/TEST",
        help="Folds of the three splits instead of those of the study, e.g. 1-7/8/9.",
    ),
]
Ledger = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Keep the ledger in PostgreSQL: postgresql://USER@HOST:PORT/DATABASE, without a "
        "password; noted in the study's folder.",
        callback=not_empty,
    ),
]
MaxGpuHours = Annotated[
    float | None,
    typer.Option(
        metavar="HOURS",
        help="Stop after so many GPU hours, teacher and earlier starts of the study included.",
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        metavar="MONEY",
        help="Stop after so much money, teacher and earlier starts included; needs prices.",
    ),
]
Prices = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Prices of node types (currency, node_types), instead of the study's resources.cost.",
    ),
]

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
            f"--time-budget {text!r} is no time: write a number with s, m, h or d, for example "
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


def parse_pairs(flag: str, pairs: Sequence[str]) -> dict[str, str]:
    """Read `key=value` texts.

    Raises:
        ConfigError: One has no equals sign.
    """
    values: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"{flag} {pair!r} must be KEY=VALUE, for example n_recordings=500.")
        values[key.strip()] = value.strip()
    return values


def check_address(address: str | None, *, in_process: bool) -> None:
    """Refuse two flags that exclude each other.

    Raises:
        ConfigError: Both were given.
    """
    if address is not None and in_process:
        raise ConfigError(
            f"--in-process and --address {address!r} exclude each other: leave one of them out."
        )


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
            f"--folds {folds} does not go with the study's data: {error}. Give folds that do, or "
            "change the study file."
        ) from None
    return dataclasses.replace(config, data=data)


def with_prices(config: "StudyConfig", prices: Path | None) -> "StudyConfig":
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
            raise ConfigError(
                f"{flag} must be above 0, got {value:g}. Leave it out to spend without a limit."
            )
    return Limits(gpu_hours=max_gpu_hours, money=max_cost)
