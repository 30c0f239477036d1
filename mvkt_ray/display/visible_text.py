"""Characters that a terminal would act on, or that no encoding has, written out as Python does."""

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
    """Write out the characters of a text that are not shown but obeyed.

    Args:
        text: From anywhere.
        one_line: Write out line feeds and tabs, too.
    """
    shown = _ACTING.sub(_written_out, text)
    return _BREAKS.sub(_written_out, shown) if one_line else shown


def let_streams_write_anything() -> None:
    """Where the locale's encoding lacks a character, write it out instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A stream that somebody has put in its place or closed is theirs.
            with suppress(ValueError, OSError):
                reconfigure(errors="backslashreplace")


def _written_out(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode("ascii")
