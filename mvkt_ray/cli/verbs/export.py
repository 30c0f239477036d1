"""`mvkt export`: a student of a study as files that run without torch."""

from typing import Annotated, Any

import typer

from mvkt_ray.cli.display.console import Output, byte_size, facts, grid
from mvkt_ray.cli.options import Json, Quiet, StudyDir, not_empty
from mvkt_ray.errors import ConfigError


def export_verb(
    study_dir: StudyDir,
    out: Annotated[
        str,
        typer.Argument(metavar="OUT", help="Folder of the model, or its URI.", callback=not_empty),
    ],
    lead: Annotated[
        str | None,
        typer.Option(metavar="LEAD", help="Lead or lead set, V5 or I+V5; by default the best."),
    ] = None,
    contender: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="By default the one by which leads are ranked."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the finals; by default the first.")
    ] = None,
    from_search: Annotated[
        bool,
        typer.Option("--from-search", help="Export a trial of the search, marked as not examined."),
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a student as ONNX, in float32 and int8, with its weights, thresholds and model card.

    Nothing is published unless onnxruntime says what torch says of every validation recording.
    The same model, exported before, is left as it is.
    Example: mvkt export study model --lead V5
    """
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.storage.location import Location

    try:
        from mvkt_ray.delivery.exporting.export_model import export_model
        from mvkt_ray.delivery.exporting.exported_student import ExportRequest
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("onnx", "onnxruntime", "onnxscript"):
            raise
        raise ConfigError(
            f"mvkt export needs {error.name}, which is not installed. Install it by "
            "pip install 'mvkt-ray[export]'."
        ) from None

    output = Output.open(as_json=as_json, quiet=quiet)
    folder = StudyFolder(Location.parse(study_dir))
    request = ExportRequest(
        lead=lead, contender=contender, repetition=seed, from_search=from_search
    )
    location = Location.parse(out)
    manifest, reused = export_model(folder, request, location, output.say)
    made, details = manifest.config, manifest.details
    value = {
        "out": str(out),
        "reused": reused,
        "fingerprint": manifest.fingerprint,
        "lead": made["condition"],
        "contender": made["contender"],
        "seed": made["repetition"],
        "files": {name: entry.size_bytes for name, entry in manifest.files.items()},
        **details,
    }
    output.answer(value, [facts(_rows(value)), _files(value)])


def _rows(value: dict[str, Any]) -> dict[str, object]:
    network, left_out = value["network"], value["int8_left_out"]
    is_final = "examined once on the test split" if value["examined"] else "NOT examined"
    lost = (
        f"left out: {left_out}"
        if left_out
        else f"macro AUROC {value['int8_macro_auroc']:.4f} on validation"
    )
    return {
        "model": f"{value['out']}{', reused' if value['reused'] else ''}",
        "student": f"{value['contender']} of {value['lead']}, seed {value['seed']}, {is_final}",
        "size": f"{network['n_parameters']:,} parameters, "
        f"{network['n_multiply_accumulates']:,} multiply-accumulates per window",
        "validation": f"macro AUROC {value['macro_auroc']:.4f}",
        "parity": f"{value['largest_difference_to_torch']:.1e} between onnxruntime and torch",
        "int8": lost,
        "card": f"{value['out']}/README.md",
    }


def _files(value: dict[str, Any]) -> Any:
    table = grid(["file", "size", "10 s recording", "peak memory"], right=["size"])
    for name, size in value["files"].items():
        median, peak = value["median_ms"].get(name), value["peak_bytes"].get(name)
        table.add_row(
            name,
            byte_size(size),
            "" if median is None else f"{median:.2f} ms",
            "" if peak is None else byte_size(peak),
        )
    return table
