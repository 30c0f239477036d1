"""Flags that several verbs share; what they say is checked in `interface.arguments`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.errors import ConfigError


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
StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY.yaml", help="Study file, see search_spaces/.")
]
ShardsDir = Annotated[
    str,
    typer.Option("--data", metavar="PATH", help="Shards made by mvkt ingest.", callback=not_empty),
]
AnyData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help="Shards, or the folder of the dataset; not needed by synthetic.",
        callback=not_empty,
    ),
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
TimeBudget = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Start no trial after this time, e.g. 30m or 2h."),
]
Trackers = Annotated[
    list[str] | None,
    typer.Option(
        "--tracker",
        metavar="KIND=TARGET",
        help="Track the trials, too: mlflow=URI, wandb=PROJECT or tensorboard=DIR; repeatable.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, say what would be done, and stop.")
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
