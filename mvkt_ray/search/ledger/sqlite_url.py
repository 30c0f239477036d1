"""URLs of SQLite files for SQLAlchemy and optuna-dashboard.

A path is not a URL: `?v=2` in `lead?v=2` would be parsed as options, and `100%41` would open the
file `100A`. `url_of` escapes such characters, and `path_of` is its inverse.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

_PREFIX = "sqlite:///"


def url_of(path: Path) -> str:
    """Return the URL of a file; bytes of its name that are not UTF-8 are escaped, too."""
    return f"{_PREFIX}{quote(os.fsencode(path), safe='/ +')}"


def path_of(url: str) -> Path | None:
    """Return the file that a URL names; None if it names a server, or a database in memory."""
    if not url.startswith(_PREFIX):
        return None
    return Path(os.fsdecode(unquote_to_bytes(url.removeprefix(_PREFIX).encode())))
