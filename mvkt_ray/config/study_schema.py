"""Makes the JSON schema of study files, for completion and checks in editors.

It is derived from the dataclasses; the description of a key is the docstring below its field. It
contains names and types; rules between fields are checked when the file is read.
"""

import ast
import inspect
import sys
from dataclasses import fields
from itertools import pairwise
from typing import Any

from pydantic import TypeAdapter

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig

_SCALAR: dict[str, Any] = {"type": ["boolean", "number", "string"]}


def study_schema() -> dict[str, Any]:
    """Return the schema of study files as people write them: with their shorthands and `base`."""
    schema = TypeAdapter(StudyConfig).json_schema(ref_template="#/$defs/{model}")
    parts: dict[str, Any] = schema["$defs"]
    _describe(schema, StudyConfig)
    for name, part in parts.items():
        _describe(part, _class_named(name))
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
    _describe(recipe, Hyperparameters)
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


def _describe(schema: dict[str, Any], owner: Any) -> None:
    """Put what stands below each field of a class beside its key; drop titles, which repeat it."""
    texts = _texts_below_fields(owner)
    for name, value in schema.get("properties", {}).items():
        value.pop("title", None)
        if name in texts:
            value["description"] = texts[name]
    schema.pop("title", None)


def _texts_below_fields(owner: Any) -> dict[str, str]:
    tree = ast.parse(inspect.getsource(sys.modules[owner.__module__]))
    body = next(
        node.body
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == owner.__name__
    )
    texts: dict[str, str] = {}
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                texts[name] = " ".join(text.split())
            case _:
                pass
    return texts


def _class_named(name: str) -> Any:
    modules = [module for key, module in sys.modules.items() if key.startswith("mvkt_ray.config.")]
    found = {each for module in modules if (each := getattr(module, name, None)) is not None}
    (only,) = found
    return only


def _description(value: dict[str, Any]) -> dict[str, Any]:
    return {"description": value["description"]} if "description" in value else {}
