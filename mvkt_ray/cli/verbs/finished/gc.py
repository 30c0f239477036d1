"""`mvkt gc`: what a study has on disk and nobody needs any more."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvkt_ray.cli.options import Folder, VerbOutput
from mvkt_ray.display.console import grid
from mvkt_ray.phrasing import byte_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.leftovers import Leftover


def gc_verb(
    output: VerbOutput,
    folder: Folder,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the files instead of only listing them.")
    ] = False,
) -> None:
    """List files of a study that are not needed any more; --delete deletes them.

    Report, export, rerun, finals and a resumed search give the same results afterwards.
    Example: mvkt gc study --delete
    """
    from mvkt_ray.search.leftovers import collect_leftovers

    with output.waiting("looking through the study"):
        found = collect_leftovers(folder, delete=delete)
    kinds = _by_kind(found)
    total = sum(each.size_bytes for each in found)
    value = {
        "study": str(folder.root),
        "deleted": delete,
        "size_bytes": total,
        "kinds": kinds,
        "files": [str(each.location) for each in found],
    }
    table = grid(["what", "files", "size"], right=["files", "size"])
    for kind in kinds:
        table.add_row(kind["what"], f"{kind['files']:,}", byte_size(kind["size_bytes"]))
    output.answer(value, [*([table] if found else []), _verdict(folder, found, delete=delete)])


def _by_kind(found: "Sequence[Leftover]") -> list[dict[str, Any]]:
    kinds: dict[str, dict[str, Any]] = {}
    for each in found:
        kind = kinds.setdefault(each.why, {"what": each.why, "files": 0, "size_bytes": 0})
        kind["files"] += 1
        kind["size_bytes"] += each.size_bytes
    return sorted(kinds.values(), key=lambda kind: -kind["size_bytes"])


def _verdict(folder: "StudyFolder", found: "Sequence[Leftover]", *, delete: bool) -> str:
    if not found:
        return f"{folder.root} holds nothing that can be removed."
    size = byte_size(sum(each.size_bytes for each in found))
    if delete:
        return f"Removed {len(found):,} files, {size}."
    return f"{len(found):,} files, {size}. Nothing was removed: --delete does that."
