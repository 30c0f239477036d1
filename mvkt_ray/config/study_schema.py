"""Makes the JSON schema of study files, for completion and checks in editors.

It is derived from the dataclasses; the description of a key is the docstring below its field. It
contains names and types; rules between fields are checked when the file is read.
"""

from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig

_SCALAR: dict[str, Any] = {"type": ["boolean", "number", "string"]}


def study_schema() -> dict[str, Any]:
    """Return the schema of study files as people write them: with their shorthands and `base`."""
    schema = TypeAdapter(StudyConfig).json_schema(ref_template="#/$defs/{model}")
    parts: dict[str, Any] = schema["$defs"]
    for part in (schema, *parts.values()):
        _tidy(part)
    own = schema["properties"]
    own["space"] = _space(own["space"].get("description", ""))
    parts["ParameterConfig"]["properties"]["when"] = {
        "type": "object",
        "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
    } | _description(parts["ParameterConfig"]["properties"]["when"])
    assistant = parts["TeacherConfig"]["properties"]["assistant"]
    assistant["anyOf"].append({"type": "boolean"})
    own["base"] = {
        "type": "string",
        "description": "Another study file, whose keys this one overrides: those of a section one "
        "by one, the space as a whole.",
    }
    # A study that stands on another one may have its name from there.
    del schema["required"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "mvkt-ray study",
        "anyOf": [{"required": ["name"]}, {"required": ["base"]}],
    }


def _space(description: str) -> dict[str, Any]:
    """Let each hyper-parameter be a value, a list of choices, or the section of a range."""
    recipe = TypeAdapter(Hyperparameters).json_schema()
    _tidy(recipe)
    rows: dict[str, Any] = {}
    for item in fields(Hyperparameters):
        value = {k: v for k, v in recipe["properties"][item.name].items() if k in ("type", "enum")}
        rows[item.name] = {
            "anyOf": [
                value,
                {"type": "array", "items": value, "minItems": 1},
                {"$ref": "#/$defs/ParameterConfig"},
            ],
            **_description(recipe["properties"][item.name]),
            "default": item.default,
        }
    return {
        "type": "object",
        "description": description,
        "properties": rows,
        "additionalProperties": False,
    }


def _tidy(schema: dict[str, Any]) -> None:
    """Drop titles, which repeat the keys, and the line breaks of descriptions."""
    schema.pop("title", None)
    for value in schema.get("properties", {}).values():
        value.pop("title", None)
        if "description" in value:
            value["description"] = " ".join(value.pop("description").split())


def _description(value: dict[str, Any]) -> dict[str, Any]:
    return {"description": value["description"]} if "description" in value else {}
