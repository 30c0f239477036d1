"""Study files: YAML to the dataclasses of `config`, with errors that name the key and the value.

YAML is data here: no tags, no arithmetic, and at most one `base:` file, whose keys it overrides:
those of a section one by one, `space` and whatever stands below a section's keys as a whole.

Reads: a study YAML, and the YAML that its `base:` names.
Writes: the resolved study beside a search.
"""

import dataclasses
import functools
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import TypeAdapter, ValidationError

from mvkt_ray.config.data_config import FoldsConfig, OwnSource
from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.resources import CostConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig
from mvkt_ray.config.yaml_loader import UniqueKeyLoader
from mvkt_ray.errors import ConfigError
from mvkt_ray.file_guards import reading
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.plugins.entry_points import plugin_names

YamlMapping = dict[str, Any]

_MOST_BYTES = 8 << 20
"""Limit on the size of a file written by a person; a device such as /dev/zero has no end."""

_STUDY_ADVICE = (
    "Give the path of a study file; the folder search_spaces/ of the project has examples."
)

_PRICES_ADVICE = (
    "A file of prices has a currency and node_types: by name, a price_per_hour, cpus, gpus and "
    "accelerator_type each."
)


def read_study(path: str | Path) -> StudyConfig:
    """Read and check a study file.

    Raises:
        ConfigError: Names the file, the key, the value, and the nearest name of a misspelled key.
    """
    file = Path(path)
    with reading(file, _STUDY_ADVICE):
        value = read_mapping(file)
        base_name = value.pop("base", None)
        if base_name is not None:
            base = read_mapping(file.parent / str(base_name))
            if "base" in base:
                raise ConfigError(
                    f"{file}: base: {base_name!r} has a base itself. A base must not have a base: "
                    "copy the keys of the second base into the first."
                )
            value = _merge(base, value)
        study = study_from_mapping(value, origin=str(file))
    _expect_source(study.data.source, str(file))
    return study


def _expect_source(name: str, origin: str) -> None:
    """Raise unless there is a source of this name; what is wrong with it shows where it is opened.

    A study that was begun is read where its plug-ins are not, too: so only a person's file is held
    to this.
    """
    own, offered = typing.get_args(OwnSource), plugin_names("source")
    if name not in own and name not in offered:
        hint = did_you_mean(name, [*own, *offered])
        raise ConfigError(
            f"{origin}: data.source: there is no source {name!r}; {hint} A source of a plug-in "
            "must be installed here: `mvkt plugins` lists the installed ones."
        )


def study_from_mapping(value: Mapping[str, Any], origin: str) -> StudyConfig:
    """Check a mapping as `read_study` does.

    Args:
        value: The keys and values of a study file, its base merged in.
        origin: Begins each message, such as the path of the file.

    Raises:
        ConfigError: As `read_study`.
    """
    space = value.get("space")
    if isinstance(space, Mapping):
        rows = cast(Mapping[str, Any], space)
        value = {**value, "space": {name: _parameter(row) for name, row in rows.items()}}
    teacher = value.get("teacher")
    if isinstance(teacher, Mapping):
        value = {**value, "teacher": _teacher(cast(Mapping[str, Any], teacher))}
    try:
        return _study_adapter().validate_python(value)
    except ValidationError as error:
        problems = [_explain(item) for item in error.errors()]
        raise ConfigError(f"{origin}: " + "; ".join(problems)) from None


def read_prices(path: str | Path) -> CostConfig:
    """Read a file of prices: what a study file says under `resources.cost`.

    A file of Ray's cluster launcher may have it under `metadata`, which Ray leaves alone.

    Raises:
        ConfigError: Names the file, the key and the value.
    """
    with reading(path, _PRICES_ADVICE):
        value = read_mapping(path, _PRICES_ADVICE)
        # A key that every file of Ray's launcher has, and no price list.
        if "cluster_name" in value:
            value = value.get("metadata") or {}
        try:
            prices = TypeAdapter(CostConfig).validate_python(value)
        except ValidationError as error:
            problems = [_explain(item, CostConfig) for item in error.errors()]
            raise ConfigError(f"{path}: " + "; ".join(problems)) from None
    if not prices.node_types:
        raise ConfigError(f"{path} has no node_types. {_PRICES_ADVICE}")
    return prices


def write_prices(prices: CostConfig) -> str:
    """Write prices as YAML that `read_prices` reads back to equal ones."""
    return _yaml(TypeAdapter(CostConfig).dump_python(prices, mode="json", exclude_none=True))


def study_from_yaml(text: str, origin: str) -> StudyConfig:
    """Read what `write_study` wrote; `origin` stands in front of each message.

    Raises:
        ConfigError: As `read_study`.
    """
    with reading(origin, _STUDY_ADVICE):
        return study_from_mapping(_mapping_from_yaml(text, origin), origin)


def parse_folds(text: str) -> FoldsConfig:
    """Read `1-7/8/9`: train, validation and test folds, each a list such as `1-3,5`.

    Raises:
        ConfigError: The text has another form.
    """
    hint = f"folds {text!r}: write train/val/test, for example 1-7/8/9 or 1-3,5/4/6."
    parts = text.split("/")
    if len(parts) != 3:
        raise ConfigError(hint)
    try:
        train, val, test = (_parse_fold_list(part) for part in parts)
        return FoldsConfig(train=train, val=val, test=test)
    except ValueError as error:
        raise ConfigError(f"{hint} ({error})") from None


def checked_study(config: StudyConfig) -> StudyConfig:
    """Check a study that was built in Python as `read_study` checks a file: types, too.

    Raises:
        ConfigError: Names the field and the value.
    """
    value = _study_adapter().dump_python(config, exclude_none=True, warnings=False)
    return study_from_mapping(value, origin=f"the study {config.name!r}")


@functools.cache
def _study_adapter() -> TypeAdapter[StudyConfig]:
    """Return what checks and writes studies; to build it takes 0.2 s."""
    return TypeAdapter(StudyConfig)


def write_study(config: StudyConfig) -> str:
    """Write a study as YAML that `read_study` reads back to an equal one."""
    return _yaml(_study_adapter().dump_python(config, mode="json", exclude_none=True))


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=100)


def _parse_fold_list(text: str) -> tuple[int, ...]:
    folds: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        folds.extend(range(int(first), int(last or first) + 1))
    return tuple(folds)


def read_mapping(path: str | Path, advice: str = _STUDY_ADVICE) -> YamlMapping:
    """Read a YAML file that holds keys and values; nothing in it is executed.

    Args:
        path: The file.
        advice: What to do when it cannot be read, a sentence for the message.

    Raises:
        ConfigError: It cannot be read, is not YAML, has a key twice, or holds something else.
    """
    file = Path(path)
    with reading(file, advice):
        return _mapping_from_yaml(read_text(file), str(file), advice)


def read_text(file: Path) -> str:
    """Read a small file of the user's: text in UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: It is larger than any such file.
        OSError: It cannot be read; call it within `reading`.
        UnicodeDecodeError: Likewise.
    """
    with file.open("rb") as stream:
        content = stream.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ConfigError(
            f"{file} has more than {_MOST_BYTES:,} bytes, too many for a study file. Check the "
            "path."
        )
    return content.decode("utf-8-sig")


def _mapping_from_yaml(text: str, origin: str, advice: str = "") -> YamlMapping:
    with reading(origin, advice):
        try:
            value = yaml.load(text, Loader=UniqueKeyLoader)
        except yaml.YAMLError as error:
            raise ConfigError(f"{origin} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise ConfigError(
            f"{origin} must be a mapping of keys to values, got {type(value).__name__}."
        )
    return cast(YamlMapping, value)


def read_documents(text: str, origin: str) -> list[Any]:
    """Read YAML that may hold several documents, as Kubernetes has them; empty ones are left out.

    Raises:
        ConfigError: It is not YAML, or has a key twice; names `origin`.
    """
    with reading(origin, "Give a file of YAML documents."):
        try:
            return [value for value in yaml.load_all(text, Loader=UniqueKeyLoader) if value]
        except yaml.YAMLError as error:
            raise ConfigError(f"{origin} is not YAML: {' '.join(str(error).split())}") from None


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> YamlMapping:
    """Let a study override its base: sections key by key, and what stands at a key as a whole."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(value, Mapping) and key != "space":
            merged[key] = {**cast(YamlMapping, below), **cast(YamlMapping, value)}
        else:
            merged[key] = value
    return merged


def _parameter(row: Any) -> Any:
    """Let a search space say `student: xresnet1d18` and `batch_size: [64, 128]`."""
    if isinstance(row, Mapping):
        row = cast(YamlMapping, row)
        when = row.get("when")
        if isinstance(when, Mapping):
            conditions = cast(YamlMapping, when)
            listed = {key: v if isinstance(v, list) else [v] for key, v in conditions.items()}
            return {**row, "when": listed}
        return row
    if isinstance(row, list):
        return {"choices": row}
    return {"value": row}


def _teacher(section: Mapping[str, Any]) -> Mapping[str, Any]:
    """Let a teacher say `assistant: true`."""
    assistant = section.get("assistant")
    if not isinstance(assistant, bool):
        return section
    return {**section, "assistant": {} if assistant else None}


def _explain(item: Any, owner: Any = StudyConfig) -> str:
    """Write one error of pydantic as `dotted.path: what is wrong (got value)`."""
    path = [str(part) for part in item["loc"]]
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "unexpected_keyword_argument":
        known = _names_at(path[:-1], owner)
        nested = [f"{section}.{name}" for section in known for name in _names_at([section], owner)]
        hint = did_you_mean(path[-1], known, elsewhere=nested)
        return f"{'.'.join(path)}: there is no such key; {hint}"
    got = item["input"]
    shown = "" if isinstance(got, Mapping) or "got" in message else f" (got {got!r})"
    return f"{'.'.join(path) or 'the file'}: {message[0].lower()}{message[1:]}{shown}"


def _names_at(path: list[str], owner: Any) -> list[str]:
    """List the keys that may stand at a path of a file that describes a dataclass."""
    if path == ["space"]:
        return list(Hyperparameters.names())
    if path[:1] == ["space"]:
        return [item.name for item in dataclasses.fields(ParameterConfig)]
    for part in path:
        owner = _type_below(owner, part)
    return (
        [item.name for item in dataclasses.fields(owner)] if dataclasses.is_dataclass(owner) else []
    )


def _type_below(owner: Any, key: str) -> Any:
    """Return the type of what stands at a key of a dataclass or of a mapping."""
    if dataclasses.is_dataclass(owner):
        below = typing.get_type_hints(owner).get(key)
        if typing.get_origin(below) not in (types.UnionType, typing.Union):
            return below
        # What may be left out is a union with None.
        parts = typing.get_args(below)
        return next((part for part in parts if dataclasses.is_dataclass(part)), below)
    return typing.get_args(owner)[1] if typing.get_origin(owner) is Mapping else None
