"""`mvkt cache`: compute once what the teacher says of the training recordings."""

from typing import Annotated

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
from mvkt_ray.display.console import facts
from mvkt_ray.interface.arguments import passed_on
from mvkt_ray.phrasing import byte_size


def cache_verb(
    output: VerbOutput,
    study: StudyFile,
    data: ShardsDir,
    teacher: Annotated[str, location_option("DIR", "Teacher trained on these shards.")],
    out: Annotated[str, location_option("DIR", "Folder of the knowledge.")],
    folds: Folds = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
) -> None:
    """Compute the teacher's knowledge: its logits and embeddings for every training crop.

    The size is predicted and printed before anything is written.
    Example: mvkt cache study.yaml --data shards --teacher teacher --out knowledge
    """
    given = passed_on(locals(), "output", "teacher")
    from mvkt_ray.interface.teaching_run import cache_knowledge, stage_call

    plan, finished = cache_knowledge(output, stage_call(**given), teacher)
    value = {
        "out": out,
        "n_crops": plan.n_crops,
        "predicted_size_bytes": plan.size_bytes,
        "size_bytes": finished.size_bytes,
        "fingerprint": finished.fingerprint,
    }
    rows: dict[str, object] = {
        "knowledge": f"{out}, {byte_size(finished.size_bytes)}",
        "crops": f"{plan.n_crops:,}",
    }
    output.answer(value, [facts(rows)])
