"""`mvkt cache`: compute once what the teacher says of the training recordings."""

from pathlib import Path
from typing import Annotated

import typer

from mvkt_ray.cli.options import Address, Folds, InProcess, Json, Quiet, Resume, not_empty
from mvkt_ray.display.console import Output, byte_size, facts
from mvkt_ray.interface.arguments import check_address, with_folds


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
    from mvkt_ray.config.study_file import read_study
    from mvkt_ray.interface.sessions.driver_session import driver_session
    from mvkt_ray.interface.sessions.own_files import own_files_beside
    from mvkt_ray.search.choosing.named_plugins import packages_of_study
    from mvkt_ray.search.stages import (
        cache_knowledge,
        open_fitting_teacher,
        plan_knowledge,
        prepare,
    )
    from mvkt_ray.storage.artifacts import claim_output, holding
    from mvkt_ray.storage.location import Location

    output = Output.open(as_json=as_json, quiet=quiet)
    check_address(address, in_process=in_process)
    config = with_folds(read_study(study), folds)
    prepared = prepare(config, Location.parse(data))
    taught = Location.parse(teacher)
    fitting = open_fitting_teacher(taught, config, prepared)
    per_recording = config.student.knowledge == "record"
    plan = plan_knowledge(prepared, fitting, taught, per_recording=per_recording)
    location = Location.parse(out)
    what = f"{plan.n_crops:,} crops"
    output.say(f"{what} of the training split need {byte_size(plan.size_bytes)}")
    finished = claim_output(location, plan.recipe, resume=resume)
    if finished is None:
        files = own_files_beside(output, location)
        with (
            holding(location),
            driver_session(
                output, files, config, name=config.name, address=address, in_process=in_process
            ) as session,
        ):
            runner, view = session.runner, session.view
            runner.check(config.resources)
            runner.expect_plugins(packages_of_study(config, prepared.shards.tasks))
            view.stage_started("knowledge", what)
            finished = cache_knowledge(
                plan, location, runner, config.resources, view.stage_progress
            )
            view.stage_finished("knowledge", what, reused=False)
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
