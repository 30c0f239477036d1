"""Reports as JSON, and the schema of `report.json`.

The only module of `delivery` that uses pydantic.
"""

import functools
import json
from typing import Any, TypeVar

from pydantic import TypeAdapter

from mvkt_ray.delivery.report.reported_differences import LeadPair, MeanGain
from mvkt_ray.delivery.report.reported_scores import ChosenValidation
from mvkt_ray.delivery.report.reported_search import LeadFront
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.json_values import without_nan

Report = TypeVar("Report")


def plain_report(report: Any) -> dict[str, Any]:
    """Return a report of any type as JSON values; undefined numbers become None."""
    adapter = _adapter(type(report))
    return without_nan(adapter.dump_python(report, mode="json", by_alias=True, warnings=False))


def report_bytes(report: Any) -> bytes:
    """Return a report of any type as the content of its JSON file."""
    return (json.dumps(plain_report(report), indent=2, allow_nan=False) + "\n").encode()


def report_schema() -> dict[str, Any]:
    """Return the JSON schema of `report.json`, derived from the types."""
    schema = _adapter(StudyReport).json_schema(by_alias=True)
    parts = schema["$defs"]
    for heir in (ChosenValidation, MeanGain, LeadPair, LeadFront):
        # pydantic reads only the field docstrings of the class itself, not of its bases.
        for base in heir.__mro__[1:-1]:
            parts[heir.__name__]["properties"] |= parts[base.__name__]["properties"]
    for part in (schema, *parts.values()):
        for value in part["properties"].values():
            # pydantic's title repeats the key.
            value.pop("title", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "mvkt-ray report",
    }


@functools.cache
def _adapter(kind: type[Report]) -> TypeAdapter[Report]:
    return TypeAdapter(kind)
