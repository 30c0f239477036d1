"""Base of the classes of a study file: refuses unknown fields, checks ranges of numbers.

Messages name the field, the value and the valid range; `study_file` adds the file and the key.
"""

import math
from typing import Any, ClassVar

from mvkt_ray.errors import ConfigError


class Section:
    """Base of the classes of a study file: an unknown field is an error.

    The docstring below a field describes it in the schema.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, Any]] = {
        "extra": "forbid",
        "use_attribute_docstrings": True,
    }


def require(condition: bool, message: str) -> None:
    """Refuse a value.

    Raises:
        ConfigError: The condition does not hold.
    """
    if not condition:
        raise ConfigError(message)


def require_above_zero(owner: object, *names: str) -> None:
    """Refuse fields that are not finite numbers above 0.

    Raises:
        ConfigError: The first of them.
    """
    for name in names:
        value = _number(owner, name)
        require(value > 0 and math.isfinite(value), f"{name} must be > 0, got {value!r}")


def require_not_negative(owner: object, *names: str) -> None:
    """Refuse fields that are not finite numbers of at least 0.

    Raises:
        ConfigError: The first of them.
    """
    for name in names:
        value = _number(owner, name)
        require(value >= 0 and math.isfinite(value), f"{name} must be >= 0, got {value!r}")


def _number(owner: object, name: str) -> int | float:
    """Return a numeric field; of a class built in Python it may hold a value of any type."""
    value: object = getattr(owner, name)
    if not isinstance(value, int | float):
        raise ConfigError(f"{name} must be a number, got {value!r}")
    return value
