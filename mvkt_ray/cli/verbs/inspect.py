"""`mvkt inspect`: what is in an artifact, and what does a recording look like?"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from mvkt_ray.cli.options import JsonOutput
from mvkt_ray.display.console import facts, grid, heading
from mvkt_ray.display.finals_lines import openings_text
from mvkt_ray.display.model_facts import model_tables, model_value
from mvkt_ray.errors import ConfigError
from mvkt_ray.file_guards import writing
from mvkt_ray.phrasing import TERMINAL, byte_size, duration, number_ranges

if TYPE_CHECKING:
    from mvkt_ray.search.finals.openings import Opening
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location
    from mvkt_ray.storage.manifest import Manifest

CODES_SHOWN = 12
"""The most frequent label codes; `--json` has all."""

Answer = tuple[dict[str, Any], list[RenderableType]]


def inspect_verb(
    output: JsonOutput,
    artifact: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT", help="Folder of shards, a teacher, knowledge, a study or a model."
        ),
    ],
    draw: Annotated[
        str | None,
        typer.Option(
            metavar="RECORD_ID", help="Draw this recording of the shards as an ECG sheet."
        ),
    ] = None,
    png: Annotated[
        Path | None, typer.Option(help="Image for --draw; by default RECORD_ID.png.")
    ] = None,
) -> None:
    """Describe an artifact: shards, a teacher, knowledge, a study or an exported model.

    With --draw, one recording of the shards is drawn instead as the usual 12-lead sheet:
    25 mm/s, 10 mm/mV, small squares of 40 ms and 0.1 mV.
    """
    from mvkt_ray.delivery.predicting.model_file import MODEL_KIND
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.artifacts import read_manifest, verify_artifact
    from mvkt_ray.storage.location import Location

    location = Location.parse(artifact)
    if png is not None and draw is None:
        raise ConfigError("--png names the image, but not the recording: add --draw RECORD_ID.")
    if draw is not None:
        path = _draw(location, draw, png)
        output.answer({"record_id": draw, "png": str(path)}, [f"{draw} is drawn in {path}"])
        return
    folder = StudyFolder(location)
    if folder.study_file.exists():
        value, shown = _describe_study(folder)
    else:
        manifest = read_manifest(location)
        # What the manifest of another artifact says is not true of this one; large ones by sizes.
        verify_artifact(location, hashes=manifest.kind not in ("shards", "knowledge"))
        if manifest.kind == "shards":
            value, shown = _describe_shards(location, manifest)
        elif manifest.kind == MODEL_KIND:
            value = model_value(str(location), manifest)
            shown = model_tables(value)
        else:
            value, shown = _describe_other(location, manifest)
    output.answer(value, shown)


def _draw(location: "Location", record_id: str, png: Path | None) -> Path:
    from mvkt_ray.data.drawing.ecg_sheet import draw_ecg_sheet
    from mvkt_ray.data.shards import open_shards

    shards = open_shards(location)
    recording = shards.recording(shards.row_of(record_id))
    # Ids may hold slashes (folder/name in the Challenge); the default stays in this folder.
    path = png or Path(f"{record_id.replace('/', '-')}.png")
    with writing(f"--png {str(path)!r}", "Give another file.", ConfigError):
        if not path.parent.is_dir():
            raise ConfigError(
                f"--png {str(path)!r}: the folder {path.parent} does not exist; make it."
            )
        draw_ecg_sheet(recording, path)
    return path


def _describe_shards(location: "Location", manifest: "Manifest") -> Answer:
    from mvkt_ray.data.describe import describe_assumptions, describe_shards
    from mvkt_ray.data.shard_columns import NO_FOLD
    from mvkt_ray.data.shards import open_shards

    value = describe_shards(open_shards(location))
    quarantine: Mapping[str, int] = value["quarantine"]
    made = " (made at ingest: the source has none)" if value["folds_made_at_ingest"] else ""
    folds = {int(fold): n for fold, n in value["folds"].items()}
    n_without = folds.pop(NO_FOLD, 0)
    none = f"; none: {n_without:,}" if n_without else ""
    rows: dict[str, object] = {
        "shards": f"{location}, {value['shards']} files, {byte_size(value['size_bytes'])}",
        "source": value["source"],
        "recordings": f"{value['recordings']:,}",
        "patients": f"{value['patients']:,}",
        "quarantined": f"{value['quarantined']:,}",
        "leads": " ".join(value["leads"]),
        "rate": f"{value['sampling_rate_hz']} Hz{_source_rates(value)}",
        "lengths": _lengths(value),
        "folds": ", ".join(f"{fold}: {n:,}" for fold, n in sorted(folds.items())) + none + made,
        "fingerprint": value["fingerprint"],
        "made": f"{manifest.created_at} by {manifest.command}",
    }
    if assumed := describe_assumptions(manifest.counts):
        rows["assumed"] = assumed
    if value["patients_in_several_folds"]:
        rows["in several folds"] = (
            f"{value['patients_in_several_folds']:,} patients (a study refuses that)"
        )
    shown: list[RenderableType] = [facts(rows)]
    if quarantine:
        table = grid(["in quarantine because", "recordings"], right=["recordings"])
        for reason, n in quarantine.items():
            table.add_row(reason, f"{n:,}")
        shown.append(table)
    shown.extend(Text(f"Note: {remark}") for remark in value["remarks"])
    shown.extend(_task_tables(value["tasks"]))
    shown.extend(_codes_table(value))
    return value, shown


def _source_rates(value: Mapping[str, Any]) -> str:
    rates = {float(rate): n for rate, n in value["source_rates_hz"].items()}
    if list(rates) == [float(value["sampling_rate_hz"])]:
        return ""
    return ", from " + ", ".join(f"{rate:g} Hz ({n:,})" for rate, n in sorted(rates.items()))


def _lengths(value: Mapping[str, Any]) -> str:
    lengths = value["lengths"]
    shortest, longest = lengths["shortest_s"], lengths["longest_s"]
    spread = f"{shortest:g} s" if shortest == longest else f"{shortest:g} to {longest:g} s"
    return f"{spread}, {lengths['total_s'] / 3600:.1f} h in all"


def _task_tables(tasks: Mapping[str, Any]) -> list[RenderableType]:
    shown: list[RenderableType] = []
    for name, task in tasks.items():
        without = f"{task['without_label']:,} recordings have none of its classes"
        classes: Mapping[str, int] = task["classes"]
        table = grid(["class", "recordings"], right=["recordings"])
        many = len(classes) > CODES_SHOWN
        ordered = sorted(classes.items(), key=lambda item: -item[1]) if many else classes.items()
        for label, n in list(ordered)[:CODES_SHOWN]:
            table.add_row(label, f"{n:,}")
        if many:
            table.add_row(f"and {len(classes) - CODES_SHOWN} more (--json has all)", "")
        shown += [heading(f"Task {name}: {without}"), table]
    return shown


def _codes_table(value: Mapping[str, Any]) -> list[RenderableType]:
    codes = sorted(value["codes"].items(), key=lambda item: -item[1])
    unused = set(value["codes_without_class"])
    title = f"Label codes: {len(codes)}, of which {len(unused)} belong to no class of a task"
    table = grid(["code", "recordings", ""], right=["recordings"])
    for code, n in codes[:CODES_SHOWN]:
        table.add_row(code, f"{n:,}", "no class" if code in unused else "")
    if len(codes) > CODES_SHOWN:
        table.add_row(f"and {len(codes) - CODES_SHOWN} more (--json has all)", "", "")
    return [heading(title), table]


def _describe_other(location: "Location", manifest: "Manifest") -> Answer:
    """Describe a teacher or knowledge by its manifest."""
    value = {
        "kind": manifest.kind,
        "counts": dict(manifest.counts),
        "config": dict(manifest.config),
        "details": dict(manifest.details),
        "inputs": dict(manifest.inputs),
        "size_bytes": manifest.size_bytes,
        "fingerprint": manifest.fingerprint,
        "created_at": manifest.created_at,
        "command": manifest.command,
    }
    details = manifest.details
    rows: dict[str, object] = {manifest.kind: f"{location}, {byte_size(manifest.size_bytes)}"}
    if "network" in details:
        rows["network"] = f"{details['network']}, {manifest.counts['n_parameters']:,} parameters"
    if "view" in manifest.config:
        rows["leads"] = " ".join(manifest.config["view"]["leads"])
    if "macro_auroc" in details:
        rows["macro AUROC"] = f"{TERMINAL.score(details['macro_auroc'])} on the validation split"
        rows["epochs"] = f"{len(details['epochs'])} in {duration(details['wall_s'])}"
    members = details.get("members", [])
    if len(members) > 1:
        rows["members alone"] = ", ".join(TERMINAL.score(each["macro_auroc"]) for each in members)
    if crossed := details.get("cross_fitted"):
        rows["cross-fitted"] = ", ".join(TERMINAL.score(each["macro_auroc"]) for each in crossed)
    rows |= {name.removeprefix("n_"): f"{n:,}" for name, n in manifest.counts.items()
             if name != "n_parameters"}  # fmt: skip
    rows |= {f"from {kind}": text for kind, text in manifest.inputs.items()}
    rows["fingerprint"] = manifest.fingerprint
    rows["made"] = f"{manifest.created_at} by {manifest.command}"
    shown: list[RenderableType] = [facts(rows)]
    if "per_class_auroc" in details:
        table = grid(["class", "AUROC"], right=["AUROC"])
        for label, auroc in details["per_class_auroc"].items():
            table.add_row(label, TERMINAL.score(auroc))
        shown.append(table)
    return value, shown


def _openings(folder: "StudyFolder", study: str) -> "list[Opening]":
    from mvkt_ray.search.finals.finals_progress import read_progress
    from mvkt_ray.search.ledger.ledger_database import has_ledger, reading

    if not has_ledger(folder):
        return []
    with reading(folder) as database:
        finals = read_progress(database, study)
    return [each.opening for each in finals if each.opening is not None]


def _describe_study(folder: "StudyFolder") -> Answer:
    config = folder.read_config()
    inputs = folder.read_inputs() if folder.inputs_file.exists() else {}
    times = folder.stage_times()
    openings = _openings(folder, config.name)
    folds = config.data.folds
    value = {
        "kind": "study",
        "study": config.name,
        "seed": config.seed,
        "source": config.data.source,
        "task": config.data.task,
        "n_trials": config.search.n_trials,
        "inputs": {kind: None if at is None else str(at) for kind, at in inputs.items()},
        "stage_s": times,
        "openings": [opening.to_json() for opening in openings],
    }
    rows: dict[str, object] = {
        "study": f"{config.name} in {folder.root}",
        "task": f"{config.data.task} of {config.data.source} at {config.data.sampling_rate_hz} Hz",
        "folds": f"train {number_ranges(folds.train)}; validation {number_ranges(folds.val)}; "
        f"test {number_ranges(folds.test)}",
        "test split": openings_text(openings),
        "seed": config.seed,
        "trials": f"{config.search.n_trials} planned; `mvkt status` shows how many are done",
        "sampler": f"{config.search.sampler}, pruner {config.search.pruner.kind}",
    }
    rows |= {kind: str(at) if at else "not used" for kind, at in inputs.items()}
    if times:
        rows["time"] = ", ".join(f"{stage} {duration(s)}" for stage, s in times.items())
    return value, [facts(rows)]
