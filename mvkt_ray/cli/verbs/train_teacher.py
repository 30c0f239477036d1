"""`mvkt train-teacher`: train the model that sees all leads, by itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.cli.display.console import Output, byte_size, duration, facts, grid, score
from mvkt_ray.cli.options import (
    Address,
    Folds,
    InProcess,
    Json,
    Quiet,
    Resume,
    check_address,
    read_study_with_folds,
)

if TYPE_CHECKING:
    from mvkt_ray.storage.artifacts import Manifest
    from mvkt_ray.storage.location import Location


def train_teacher_verb(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="Study file, see search_spaces/.")
    ],
    data: Annotated[str, typer.Option(metavar="PATH", help="Shards made by mvkt ingest.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder of the teacher.")],
    folds: Folds = None,
    address: Address = None,
    in_process: InProcess = False,
    resume: Resume = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train the teacher of a study, to be used by mvkt search --teacher.

    Example: mvkt train-teacher search_spaces/best_single_lead.yaml --data shards --out teacher
    """
    from mvkt_ray.cli.choose_runner import open_runner
    from mvkt_ray.cli.display.live_table import watch
    from mvkt_ray.cli.log_files import logging_to
    from mvkt_ray.cli.own_files import own_logs
    from mvkt_ray.search.stages import prepare, teacher_job
    from mvkt_ray.storage.artifacts import claim_output, holding, read_manifest, recipe_of
    from mvkt_ray.storage.location import Location
    from mvkt_ray.training.teacher import KIND, teacher_config

    output = Output.open(as_json=as_json, quiet=quiet)
    check_address(address, in_process=in_process)
    config = read_study_with_folds(study, folds)
    prepared = prepare(config, Location.parse(data))
    job = teacher_job(config, prepared)
    location = Location.parse(out)
    recipe = recipe_of(KIND, teacher_config(job), {"shards": prepared.shards.fingerprint})
    finished = claim_output(location, recipe, resume=resume)
    if finished is not None:
        output.say(f"teacher: reused, {location}")
        _answer(output, location, finished)
        return
    what = f"{config.teacher.network} on {len(prepared.view.leads)} leads"
    with (
        holding(location),
        own_logs(output, out) as logs,
        logging_to(logs),
        open_runner(output, address=address, in_process=in_process, logs=logs) as runner,
        watch(
            output,
            name=config.name,
            where=runner.describe(),
            n_epochs=config.student.epochs,
            teacher_epochs=config.teacher.epochs,
        ) as view,
    ):
        runner.check(config.resources)
        view.stage_started("teacher", what)
        runner.train_teacher(job, location, view.stage_epoch)
        view.stage_finished("teacher", what, reused=False)
    _answer(output, location, read_manifest(location, KIND))


def _answer(output: Output, out: "Location", manifest: "Manifest") -> None:
    details = manifest.details
    value = {
        "out": str(out),
        "validation": {
            "macro_auroc": details["macro_auroc"],
            "per_class": details["per_class_auroc"],
        },
        "fingerprint": manifest.fingerprint,
    }
    size_bytes = sum(entry.size_bytes for entry in manifest.files.values())
    rows: dict[str, object] = {
        "teacher": f"{out}, {byte_size(size_bytes)}",
        "macro AUROC": f"{score(details['macro_auroc'])} on the validation split",
        "time": f"{duration(details['wall_s'])} for {len(details['epochs'])} epochs",
    }
    table = grid(["class", "AUROC"], right=["AUROC"])
    for name, auroc in details["per_class_auroc"].items():
        table.add_row(name, score(auroc))
    output.answer(value, [facts(rows), table])
