"""Flags that several verbs share; what they say is checked in `interface.arguments`.

A verb whose parameter is an object that flags make, such as its output, has those flags in its
place (`Depends`, as in FastAPI).
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvkt_ray.display.console import Output
from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.study_folder import StudyFolder


@dataclass(frozen=True, slots=True)
class Depends:
    """Annotates a verb's parameter: `make` is given flags, its own parameters, and returns it."""

    make: Callable[..., Any]


def with_flags(verb: Callable[..., None]) -> Callable[..., None]:
    """Return a verb as Typer takes it: with the flags of what it depends on.

    Those of them that may be left out stand behind the verb's own.
    """
    made: dict[str, Callable[..., Any]] = {}
    parameters: list[inspect.Parameter] = []
    last: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(verb).parameters.items():
        notes = getattr(parameter.annotation, "__metadata__", ())
        if notes and isinstance(notes[0], Depends):
            made[name] = notes[0].make
            for flag in inspect.signature(made[name]).parameters.values():
                (parameters if flag.default is flag.empty else last).append(flag)
        else:
            parameters.append(parameter)

    @functools.wraps(verb, assigned=("__module__", "__name__", "__qualname__", "__doc__"))
    def run(**given: Any) -> None:
        for name, make in made.items():
            flags = inspect.signature(make).parameters
            given[name] = make(**{flag: given.pop(flag) for flag in flags})
        verb(**given)

    vars(run)["__signature__"] = inspect.Signature([*parameters, *last])
    return run


def not_empty(value: str | None) -> str | None:
    """Refuse a location that is no text at all, and would stand for the working directory.

    Raises:
        ConfigError: It is empty, or spaces only.
    """
    if value is not None and not value.strip():
        raise ConfigError(
            "a location on the command line is empty; perhaps a shell variable is not set. Give "
            "the path of a folder, or ./ for the working directory."
        )
    return value


def location_option(metavar: str, help: str, *names: str) -> Any:
    """Return an option that takes a location."""
    return typer.Option(*names, metavar=metavar, help=help, callback=not_empty)


STUDY_DIR: Any = typer.Argument(
    metavar="STUDY_DIR",
    help="Folder of a study, or its URI: s3://, gs://, abfss://.",
    callback=not_empty,
)
Json = Annotated[
    bool,
    typer.Option("--json", help="Write the answer as JSON on stdout, everything else on stderr."),
]
StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY.yaml", help="Study file, see search_spaces/.")
]
ShardsDir = Annotated[str, location_option("PATH", "Shards made by mvkt ingest.", "--data")]
AnyData = Annotated[
    str | None,
    location_option(
        "PATH", "Folder of shards or of the dataset; not needed for synthetic data.", "--data"
    ),
]
StudyDir = Annotated[str, STUDY_DIR]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print the final answer only.")]
Resume = Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")]
Address = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster to use: auto, ray://HOST:PORT or HOST:PORT. By default Ray is started "
        "on this machine.",
    ),
]
InProcess = Annotated[bool, typer.Option("--in-process", help="Run in this process, without Ray.")]
Folds = Annotated[
    str | None,
    typer.Option(
        metavar="TRAIN/VAL/TEST",
        help="Folds of the three splits, overriding the study's, e.g. 1-7/8/9.",
    ),
]
Ledger = Annotated[
    str | None,
    location_option(
        "URL",
        "Store the ledger in PostgreSQL: postgresql://USER@HOST:PORT/DATABASE, without a "
        "password; recorded in the study's folder.",
    ),
]
TimeBudget = Annotated[
    str | None, typer.Option(metavar="TIME", help="Start no trial after this time, e.g. 30m or 2h.")
]
Trackers = Annotated[
    list[str] | None,
    typer.Option(
        "--tracker",
        metavar="KIND=TARGET",
        help="Also log the trials to a tracker: mlflow=URI, wandb=PROJECT or tensorboard=DIR; "
        "repeatable.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, print the plan, and exit.")
]
MaxGpuHours = Annotated[
    float | None,
    typer.Option(
        metavar="HOURS",
        help="Stop after this many GPU hours, including the teacher and earlier runs of the study.",
    ),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        metavar="MONEY",
        help="Stop at this cost, including the teacher and earlier runs; needs prices.",
    ),
]
Prices = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="File of prices (currency, node_types), overriding the study's resources.cost.",
    ),
]


def _open_json_output(as_json: Json = False) -> Output:
    return Output.open(as_json=as_json)


def _open_output(as_json: Json = False, quiet: Quiet = False) -> Output:
    return Output.open(as_json=as_json, quiet=quiet)


def _study_folder(study_dir: StudyDir) -> "StudyFolder":
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location

    return StudyFolder(Location.parse(study_dir))


JsonOutput = Annotated[Output, Depends(_open_json_output)]
"""By `--json`."""
VerbOutput = Annotated[Output, Depends(_open_output)]
"""By `--json` and `--quiet`."""
Folder = Annotated["StudyFolder", Depends(_study_folder)]
"""By `STUDY_DIR`."""


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
