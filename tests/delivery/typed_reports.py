"""Reports as their types, of plain values that may leave out what a test does not ask for."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from mvkt_ray.delivery.report.study_report import StudyReport, json_key

_MISSING: Any = object()


def typed(value: Mapping[str, Any]) -> StudyReport:
    """Return the report that `report.json` would hold so; what is missing is nothing, or 0."""
    return part_of(StudyReport, value)


def part_of(kind: Any, value: Any = _MISSING) -> Any:
    """Return plain values as a type of the report."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return part_of(arguments[0], value)
    if origin in (Union, UnionType):
        if value is None or (value is _MISSING and NoneType in arguments):
            return None
        return part_of(arguments[0], value) if NoneType in arguments else value
    if origin is Literal:
        return arguments[0] if value is _MISSING else value
    if is_dataclass(kind):
        return _dataclass_of(kind, {} if value is _MISSING else value)
    if origin is tuple:
        if arguments[-1] is not Ellipsis:
            return tuple(0.0 for _ in arguments) if value is _MISSING else tuple(value)
        return () if value is _MISSING else tuple(part_of(arguments[0], each) for each in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        items = {} if value is _MISSING else value
        return {key: part_of(arguments[1], each) for key, each in items.items()}
    return kind() if value is _MISSING else value


def _dataclass_of(kind: Any, value: Mapping[str, Any]) -> Any:
    if isinstance(value, kind):
        return value
    names = {json_key(each.name): each.name for each in fields(kind)}
    assert set(value) <= set(names), set(value) - set(names)
    hints = get_type_hints(kind, include_extras=True)
    found = {name: part_of(hints[name], value.get(key, _MISSING)) for key, name in names.items()}
    return kind(**found)
