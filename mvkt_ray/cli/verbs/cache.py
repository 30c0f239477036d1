"""`mvkt cache`: compute once what the teacher says of the training recordings."""

from typing import Annotated

import typer

from mvkt_ray.cli.options import (
    Address,
    Folds,
    InProcess,
    Json,
    Quiet,
    Resume,
    ShardsDir,
    StudyFile,
    not_empty,
)
from mvkt_ray.display.console import Output, byte_size, facts


def cache_verb(
    study: StudyFile,
    data: ShardsDir,
    teacher: Annotated[
        str,
        typer.Option(metavar="DIR", help="Teacher trained on these shards.", callback=not_empty),
    ],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of the knowledge.", callback=not_empty)
    ],
    folds: Folds = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute the teacher's knowledge: its logits and embeddings for every training crop.

    The size is predicted and printed before anything is written.
    Example: mvkt cache study.yaml --data shards --teacher teacher --out knowledge
    """
    from mvkt_ray.interface.teaching_run import StageCall, cache_knowledge

    output = Output.open(as_json=as_json, quiet=quiet)
    call = StageCall(
        study=study,
        data=data,
        out=out,
        folds=folds,
        address=address,
        in_process=in_process,
        resume=resume,
    )
    plan, finished = cache_knowledge(output, call, teacher)
    size_bytes = sum(entry.size_bytes for entry in finished.files.values())
    value = {
        "out": out,
        "n_crops": plan.n_crops,
        "predicted_size_bytes": plan.size_bytes,
        "size_bytes": size_bytes,
        "fingerprint": finished.fingerprint,
    }
    rows: dict[str, object] = {
        "knowledge": f"{out}, {byte_size(size_bytes)}",
        "crops": f"{plan.n_crops:,}",
    }
    output.answer(value, [facts(rows)])
