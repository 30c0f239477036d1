"""What was measured, as small JSON files beside the benchmark: runs do not outlive their machine.

Each part of the page is made of the numbers in `kept/PART.json`, which are written anew from the
runs where these are there, and are in the repository.
"""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "kept"


def keep(part: str, found: Any, folder: Path = FOLDER) -> Any:
    """Write what was found of a part, and return it; return what was kept where nothing is found.

    Args:
        part: Names the file.
        found: Plain values; None where there are no runs.
        folder: Where the files are.
    """
    file = folder / f"{part}.json"
    if found is None:
        return json.loads(file.read_text()) if file.exists() else None
    folder.mkdir(exist_ok=True)
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    return json.loads(file.read_text())
