"""`mvkt train-teacher`: train the model that sees all leads, by itself."""

from typing import TYPE_CHECKING, Annotated

from mvkt_ray.cli.options import (
    Address,
    Folds,
    InProcess,
    Resume,
    ShardsDir,
    StudyFile,
    VerbOutput,
    location_option,
)
from mvkt_ray.display.console import Output, facts, grid
from mvkt_ray.interface.arguments import passed_on
from mvkt_ray.phrasing import TERMINAL, byte_size, duration

if TYPE_CHECKING:
    from mvkt_ray.storage.manifest import Manifest


def train_teacher_verb(
    output: VerbOutput,
    study: StudyFile,
    data: ShardsDir,
    out: Annotated[str, location_option("DIR", "Folder of the teacher.")],
    folds: Folds = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
) -> None:
    """Train the teacher of a study, to be used by mvkt search --teacher.

    Example: mvkt train-teacher search_spaces/best_single_lead.yaml --data shards --out teacher
    """
    given = passed_on(locals(), "output")
    from mvkt_ray.interface.teaching_run import stage_call, train_teacher

    call = stage_call(**given)
    _answer(output, str(call.out), train_teacher(output, call))


def _answer(output: Output, out: str, manifest: "Manifest") -> None:
    details = manifest.details
    value = {
        "out": out,
        "validation": {
            "macro_auroc": details["macro_auroc"],
            "per_class": details["per_class_auroc"],
        },
        "fingerprint": manifest.fingerprint,
    }
    rows: dict[str, object] = {
        "teacher": f"{out}, {byte_size(manifest.size_bytes)}",
        "macro AUROC": f"{TERMINAL.score(details['macro_auroc'])} on the validation split",
        "time": f"{duration(details['wall_s'])} for {len(details['epochs'])} epochs",
    }
    table = grid(["class", "AUROC"], right=["AUROC"])
    for name, auroc in details["per_class_auroc"].items():
        table.add_row(name, TERMINAL.score(auroc))
    output.answer(value, [facts(rows), table])
