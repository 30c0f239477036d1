"""URLs of SQLite files, as SQLAlchemy and optuna-dashboard read them.

A path is not a URL: of `lead?v=2` all behind the question mark would be taken for options, and of
`100%41` another file would be opened. `url_of` escapes such letters, `path_of` reads them back.
"""

import os
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

_PREFIX = "sqlite:///"


def url_of(path: Path) -> str:
    """Write the URL of a file; bytes of its name that are no UTF-8 are escaped, too."""
    return f"{_PREFIX}{quote(os.fsencode(path), safe='/ +')}"


def path_of(url: str) -> Path | None:
    """Return the file that a URL names; None where it is a server's, or in memory."""
    if not url.startswith(_PREFIX):
        return None
    return Path(os.fsdecode(unquote_to_bytes(url.removeprefix(_PREFIX).encode())))
