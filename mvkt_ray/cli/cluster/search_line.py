"""The flags of `mvkt search` in a line that is to run somewhere else: read here, written anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer
from typer.main import get_command

from mvkt_ray.cli.options import with_flags
from mvkt_ray.cli.verbs.search import search_verb
from mvkt_ray.errors import ConfigError
from mvkt_ray.interface.arguments import read_ledger
from mvkt_ray.phrasing import without_passwords

STUDY_FILE, PRICES_FILE = "study.yaml", "prices.yaml"

SHIPPED: Mapping[str, str] = {"study": STUDY_FILE, "prices": PRICES_FILE}
"""Parameters that name a small local file, which travels with the job, and its name there."""

LOCATIONS = ("out", "data", "teacher", "like")
"""Parameters that name a location, which the cluster must see."""

LEDGERS = ("ledger",)
"""Parameters that name a database, which the cluster must reach; a password in it is refused."""

TRACKERS = ("trackers",)
"""Parameters whose values are `KIND=TARGET`, where the target may be a folder or a file."""

REFUSED = ("in_process",)
"""Parameters that make no sense on a cluster."""

PLAIN = (
    *("address", "folds", "max_trials", "time_budget", "max_gpu_hours", "max_cost"),
    *("resume", "dry_run", "as_json", "quiet"),
)
"""Parameters that name nothing of this machine, and are passed on as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchLine:
    """A search that is to run on a cluster: its local files, and its words there."""

    study: Path | None
    prices: Path | None
    out: str
    words: tuple[str, ...]
    """After `mvkt search`; local files have the names of `SHIPPED`."""


def read_search_line(words: Sequence[str]) -> SearchLine:
    """Read the words after `mvkt search` as `mvkt search` does.

    Raises:
        ConfigError: A location is known to this machine only, or a flag makes no sense there.
        typer.TyperException: A flag is unknown or incomplete.
    """
    command = search_command()
    context = command.make_context("mvkt cluster submit", list(words))
    # As they were typed: a URI that is read as a path loses a slash.
    given, _, _ = command.make_parser(context).parse_args(list(words))
    written: list[str] = []
    for parameter in command.params:
        name = str(parameter.name)
        if given.get(name) is None:
            continue
        if name in REFUSED:
            raise ConfigError(f"{_flag(parameter)} cannot be used on a cluster: leave it out.")
        if name in LOCATIONS:
            check_location(_flag(parameter), str(given[name]))
        if name in LEDGERS:
            read_ledger(str(given[name]))
        if name in TRACKERS:
            for text in given[name]:
                _check_tracker(_flag(parameter), str(text))
        written += _words(parameter, SHIPPED.get(name, given[name]))
    study, prices = given.get("study"), given.get("prices")
    return SearchLine(
        study=None if study is None else Path(study),
        prices=None if prices is None else Path(prices),
        out=given["out"],
        words=tuple(written),
    )


def search_command() -> Any:
    """Return `mvkt search` as the parser has it, with `params` that have a `name` each."""
    app = typer.Typer(add_completion=False)
    app.command()(with_flags(search_verb))
    return get_command(app)


def _flag(parameter: Any) -> str:
    return max(parameter.opts, key=len)


def _words(parameter: Any, value: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return [str(value)]
    if parameter.is_flag:
        return [_flag(parameter) if value else parameter.secondary_opts[0]]
    values = value if isinstance(value, list | tuple) else [value]
    return [word for each in values for word in (_flag(parameter), str(each))]


def check_location(flag: str, location: str) -> None:
    """Refuse a location that only this machine knows.

    Raises:
        ConfigError: It is a relative path.
    """
    path = location.removeprefix("file://")
    if "://" in path or Path(path).is_absolute():
        return
    raise ConfigError(
        f"{flag} {location!r} is relative to a folder of this machine, which the cluster cannot "
        "read. Give a URI such as s3://BUCKET/FOLDER, or the absolute path of a folder that "
        "every node of the cluster sees."
    )


def _check_tracker(flag: str, tracker: str) -> None:
    if without_passwords(tracker) != tracker:
        raise ConfigError(
            f"{flag} {without_passwords(tracker)!r} holds a password or a token, which the "
            "cluster shows to everybody who can list its jobs. Leave it out, and give it to the "
            "cluster's head by the tracker's own variables or files, such as "
            "MLFLOW_TRACKING_PASSWORD."
        )
    kind, _, target = tracker.partition("=")
    path = _tracked_path(kind, target)
    if path is None or Path(path).is_absolute():
        return
    instead = "the URI of a server, or an absolute path" if kind == "mlflow" else "an absolute path"
    raise ConfigError(
        f"{flag} {tracker!r} is relative to a folder of this machine, which the cluster cannot "
        f"read. Give {instead} that every node of the cluster sees."
    )


def _tracked_path(kind: str, target: str) -> str | None:
    """Return the file or folder to which a tracker writes; None where it is a server's."""
    if kind == "tensorboard":
        return target
    if kind != "mlflow" or target == "databricks":
        return None
    uri = urlsplit(target)
    if uri.scheme.startswith("sqlite"):
        # SQLAlchemy's form: the path follows the third slash.
        return uri.path[1:]
    return uri.path if uri.scheme in ("", "file") else None
