"""The flags of `mvkt search` in a line that is to run somewhere else: read here, written anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.main import get_command

from mvkt_ray.cli.verbs.search import search_verb
from mvkt_ray.errors import ConfigError

STUDY_FILE = "study.yaml"

PLACES = ("data", "teacher", "out")
"""Flags that name locations which the cluster must see."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchLine:
    """What is to be searched, and the words that say so elsewhere."""

    study: Path | None
    out: str
    words: tuple[str, ...]
    """After `mvkt search`; the study file is called `study.yaml`."""


def read_search_line(words: Sequence[str]) -> SearchLine:
    """Read the words after `mvkt search` as `mvkt search` does.

    Raises:
        ConfigError: A location is known to this machine only, or a flag makes no sense there.
        typer.TyperException: A flag is unknown or incomplete.
    """
    app = typer.Typer(add_completion=False)
    app.command()(search_verb)
    command = get_command(app)
    context = command.make_context("mvkt cluster submit", list(words))
    # As they were typed: a URI that is read as a path loses a slash.
    given, _, _ = command.make_parser(context).parse_args(list(words))
    written: list[str] = []
    for parameter in command.params:
        name = str(parameter.name)
        if given.get(name) is None:
            continue
        if name == "in_process":
            raise ConfigError("--in-process makes no sense on a cluster: leave it out.")
        if name in PLACES:
            _check_location(f"--{name}", str(given[name]))
        written += _words(parameter, given[name])
    study = given.get("study")
    return SearchLine(
        study=None if study is None else Path(study), out=given["out"], words=tuple(written)
    )


def _words(parameter: Any, value: Any) -> list[str]:
    if parameter.param_type_name == "argument":
        return [STUDY_FILE]
    flag = max(parameter.opts, key=len)
    if parameter.is_flag:
        return [flag if value else parameter.secondary_opts[0]]
    values = value if isinstance(value, list | tuple) else [value]
    return [word for each in values for word in (flag, str(each))]


def _check_location(flag: str, location: str) -> None:
    if "://" in location or Path(location).is_absolute():
        return
    raise ConfigError(
        f"{flag} {location!r} is relative to this folder, which the cluster does not know. Give a "
        "URI such as s3://BUCKET/FOLDER, or the absolute path of a folder that every node of the "
        "cluster sees."
    )
