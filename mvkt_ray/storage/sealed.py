"""Small JSON and text files with a hash of their content, which detects later changes.

Without the hash a flipped bit in a number would be read as another valid number.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

SEAL = "sha256"
"""Key of the hash in a JSON object; the hash is of all other keys."""

_FIRST_LINE = "# Written by mvkt-ray; sha256 of all lines below: "


def sealed_json(value: Mapping[str, Any]) -> bytes:
    """Return an object of plain values as indented JSON with its hash.

    Args:
        value: Plain values, without the key `SEAL`.

    Raises:
        ValueError: A value is NaN or infinite.
    """
    assert SEAL not in value, "the hash would replace a value"
    # A round trip through JSON: the hash must be that of the content as read back.
    plain = json.loads(json.dumps(value, allow_nan=False))
    return (json.dumps({**plain, SEAL: _hash_of(plain)}, indent=2) + "\n").encode()


def unsealed_json(content: bytes) -> dict[str, Any]:
    """Parse the output of `sealed_json`.

    Raises:
        ValueError: The content is not JSON, or was changed after it was written.
        KeyError: The content has no hash.
    """
    value = json.loads(content)
    own_hash = value.pop(SEAL)
    if own_hash != _hash_of(value):
        raise ValueError("its content does not match the hash in it")
    return value


def sealed_text(text: str) -> bytes:
    """Return a text, such as YAML, behind a comment line with its hash."""
    content = text.encode()
    return f"{_FIRST_LINE}{hashlib.sha256(content).hexdigest()}\n".encode() + content


def unsealed_text(content: bytes) -> str:
    """Return the text in the output of `sealed_text`, without the comment.

    Raises:
        ValueError: The content has no hash, or was changed after it was written.
    """
    first, _, rest = content.partition(b"\n")
    if first != f"{_FIRST_LINE}{hashlib.sha256(rest).hexdigest()}".encode():
        raise ValueError("its content does not match the hash in its first line")
    return rest.decode()


def _hash_of(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
