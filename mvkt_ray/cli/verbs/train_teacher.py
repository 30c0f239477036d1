"""`mvkt train-teacher`: train the model that sees all leads, by itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.cli.options import Address, Folds, InProcess, Json, Quiet, Resume, not_empty
from mvkt_ray.display.console import Output, byte_size, duration, facts, grid, score
from mvkt_ray.interface.arguments import check_address, with_folds

if TYPE_CHECKING:
    from mvkt_ray.storage.artifacts import Manifest
    from mvkt_ray.storage.location import Location


def train_teacher_verb(
    study: Annotated[
        Path, typer.Argument(metavar="STUDY.yaml", help="Study file, see search_spaces/.")
    ],
    data: Annotated[
        str, typer.Option(metavar="PATH", help="Shards made by mvkt ingest.", callback=not_empty)
    ],
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Folder of the teacher.", callback=not_empty)
    ],
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
    from mvkt_ray.config.study_file import read_study
    from mvkt_ray.interface.sessions.driver_session import driver_session
    from mvkt_ray.interface.sessions.own_files import own_files_beside
    from mvkt_ray.search.choosing.named_plugins import packages_of_study
    from mvkt_ray.search.stages import find_teacher, prepare, teacher_job
    from mvkt_ray.storage.artifacts import holding, read_manifest
    from mvkt_ray.storage.location import Location
    from mvkt_ray.training.teacher import KIND

    output = Output.open(as_json=as_json, quiet=quiet)
    check_address(address, in_process=in_process)
    config = with_folds(read_study(study), folds)
    prepared, location = prepare(config, Location.parse(data)), Location.parse(out)
    finished = find_teacher(config, prepared, location, resume=resume)
    if finished is not None:
        output.say(f"teacher: reused, {location}")
        _answer(output, location, finished)
        return
    what = f"{config.teacher.described} on {len(prepared.view.leads)} leads"
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
        view.stage_started("teacher", what)
        runner.train_teacher(teacher_job(config, prepared), location, view.stage_epoch)
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
