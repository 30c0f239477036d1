"""Escapes control characters and characters without an encoding, in Python's notation."""

import re
import sys
from contextlib import suppress
from typing import Any

_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but for tabs and line feeds, DEL, C1
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # other lines, other directions
    "\ud800-\udfff]"  # bytes of file names that are no UTF-8
)
_BREAKS = re.compile("[\t\n]")


def visible(text: str, *, one_line: bool = False) -> str:
    """Return a text with escaped control characters.

    Args:
        text: Text of any origin.
        one_line: Whether to escape line feeds and tabs, too.
    """
    shown = _ACTING.sub(_written_out, text)
    return _BREAKS.sub(_written_out, shown) if one_line else shown


def let_streams_write_anything() -> None:
    """Let stdout and stderr escape characters that the locale's encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A replaced or closed stream, as in tests and notebooks, stays as it is.
            with suppress(ValueError, OSError):
                reconfigure(errors="backslashreplace")


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
