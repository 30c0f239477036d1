"""Small files that know when they are not as they were written: JSON and text with their own hash.

A flipped bit in a number is another number that reads as well as the first; the hash tells.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"
"""Key under which a JSON object holds the hash of the rest of it."""

_FIRST_LINE = "# Written by mvkt-ray; sha256 of all lines below: "


def sealed_json(value: Mapping[str, Any]) -> bytes:
    """Write an object of plain values for people and for `unsealed_json`.

    Args:
        value: Without the key `SEAL`; NaN is refused.
    """
    assert SEAL not in value, "the hash would take the place of a value"
    # As JSON gives it back: keys are text there, and tuples are lists.
    plain = json.loads(json.dumps(value, allow_nan=False))
    return (json.dumps({**plain, SEAL: _hash_of(plain)}, indent=2) + "\n").encode()


def unsealed_json(content: bytes) -> dict[str, Any]:
    """Read what `sealed_json` wrote.

    Raises:
        ValueError: It was changed since, or is something else.
        KeyError: It has no hash.
    """
    value = json.loads(content)
    own_hash = value.pop(SEAL)
    if own_hash != _hash_of(value):
        raise ValueError("its content has another hash than it says")
    return value


def sealed_text(text: str) -> bytes:
    """Put a comment with the hash of a text, such as YAML, in front of it."""
    content = text.encode()
    return f"{_FIRST_LINE}{hashlib.sha256(content).hexdigest()}\n".encode() + content


def unsealed_text(content: bytes) -> str:
    """Read what `sealed_text` wrote, without the comment.

    Raises:
        ValueError: It was changed since, or is something else.
    """
    first, _, rest = content.partition(b"\n")
    if first != f"{_FIRST_LINE}{hashlib.sha256(rest).hexdigest()}".encode():
        raise ValueError("its content has another hash than its first line says")
    return rest.decode()


def _hash_of(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
