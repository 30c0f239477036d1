"""`mvkt rerun`: train a finished trial again and compare its numbers with the ledger's."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mvkt_ray.cli.failures import EXIT_FAILED
from mvkt_ray.cli.options import Folder, VerbOutput
from mvkt_ray.display.console import grid
from mvkt_ray.storage.scratch_folder import scratch_folder

if TYPE_CHECKING:
    from mvkt_ray.records import TrialResult


def rerun_verb(
    output: VerbOutput,
    folder: Folder,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="Number of a finished trial.")],
) -> None:
    """Train a trial again, in this process, and compare it with what the study recorded.

    Nothing in the study is changed. Exits with 0 when every number is equal, with 1 when one
    differs: on other hardware or library versions the last digits may.
    """
    from mvkt_ray.search.rerun_trial import rerun_trial
    from mvkt_ray.storage.location import Location

    with (
        scratch_folder("mvkt-rerun-") as scratch,
        output.waiting(f"training trial {trial} again"),
    ):
        again, recorded = rerun_trial(folder, trial, Location.parse(scratch))
    rows = _numbers(recorded, again)
    equal = all(_same(old, new) for _, old, new in rows)
    table = grid(["", "recorded", "again", ""], right=["recorded", "again"])
    for name, old, new in rows:
        table.add_row(name, _exactly(old), _exactly(new), "equal" if _same(old, new) else "DIFFERS")
    verdict = "the same numbers" if equal else "the numbers differ"
    value = {
        "trial": trial,
        "equal": equal,
        "numbers": {name: {"recorded": old, "again": new} for name, old, new in rows},
    }
    output.answer(value, [f"trial {trial}: {verdict}", table])
    if not equal:
        raise typer.Exit(EXIT_FAILED)


def _numbers(recorded: "TrialResult", again: "TrialResult") -> list[tuple[str, Any, Any]]:
    """List what must be equal; times and nodes may differ."""
    classes = {**recorded.per_class_auroc, **again.per_class_auroc}
    return [
        ("state", recorded.state.value, again.state.value),
        ("epochs", recorded.epochs, again.epochs),
        ("macro AUROC", recorded.macro_auroc, again.macro_auroc),
        *(
            (name, recorded.per_class_auroc.get(name), again.per_class_auroc.get(name))
            for name in classes
        ),
    ]


def _same(old: Any, new: Any) -> bool:
    """Compare to the last digit; a class without an AUROC has none in both."""
    return old == new or (old != old and new != new)


def _exactly(value: Any) -> str:
    return "-" if value is None else repr(value) if isinstance(value, float) else str(value)
