"""`mvkt cache`: compute once what the teacher says of the training recordings."""

from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.display.console import Output, byte_size, facts
from mvkt_ray.cli.display.progress import StepProgress
from mvkt_ray.cli.options import Folds, Json, Quiet, Resume, not_empty, with_folds


def cache_verb(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="Study file, see search_spaces/.")
    ],
    data: Annotated[
        str, typer.Option(metavar="PATH", help="Shards made by mvkt ingest.", callback=not_empty)
    ],
    teacher: Annotated[
        str,
        typer.Option(metavar="DIR", help="Teacher trained on these shards.", callback=not_empty),
    ],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of the knowledge.", callback=not_empty)
    ],
    folds: Folds = None,
    resume: Resume = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compute the teacher's knowledge: its logits and embeddings for every training crop.

    The size is predicted and printed before anything is written.
    Example: mvkt cache study.yaml --data shards --teacher teacher --out knowledge
    """
    from mvkt_ray.config.study_file import read_study
    from mvkt_ray.search.stages import (
        cache_knowledge,
        open_fitting_teacher,
        plan_knowledge,
        prepare,
    )
    from mvkt_ray.storage.artifacts import claim_output, holding
    from mvkt_ray.storage.location import Location

    output = Output.open(as_json=as_json, quiet=quiet)
    config = with_folds(read_study(study), folds)
    prepared = prepare(config, Location.parse(data))
    fitting = open_fitting_teacher(Location.parse(teacher), config, prepared)
    plan = plan_knowledge(prepared, fitting, per_recording=config.student.knowledge == "record")
    location = Location.parse(out)
    output.say(f"{plan.n_crops:,} crops of the training split need {byte_size(plan.size_bytes)}")
    finished = claim_output(location, plan.recipe, resume=resume)
    if finished is None:
        with holding(location), StepProgress(output, "knowledge", "crops") as progress:
            finished = cache_knowledge(plan, location, progress.update)
    else:
        output.say(f"knowledge: reused, {location}")
    size_bytes = sum(entry.size_bytes for entry in finished.files.values())
    value = {
        "out": str(out),
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
