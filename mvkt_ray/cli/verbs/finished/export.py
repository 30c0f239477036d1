"""`mvkt export`: a student of a study as files that run without torch."""

from typing import Annotated

import typer

from mvkt_ray.cli.options import Folder, VerbOutput, not_empty
from mvkt_ray.display.model_facts import model_tables, model_value
from mvkt_ray.errors import ConfigError


def export_verb(
    output: VerbOutput,
    folder: Folder,
    out: Annotated[
        str,
        typer.Argument(metavar="OUT", help="Folder to write, or its URI.", callback=not_empty),
    ],
    lead: Annotated[
        str | None,
        typer.Option(metavar="LEAD", help="Lead or lead set, V5 or I+V5; by default the best."),
    ] = None,
    contender: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Contender of the finals; by default the one that ranks leads."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Seed of the finals; by default the first.")
    ] = None,
    from_search: Annotated[
        bool,
        typer.Option("--from-search", help="Export a trial of the search, marked as not tested."),
    ] = False,
) -> None:
    """Write a student as ONNX, in float32 and int8, with its weights, thresholds and model card.

    A model is published only if onnxruntime and torch agree on every validation recording. An
    identical earlier export is left as it is.
    Example: mvkt export study model --lead V5
    """
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

    request = ExportRequest(
        lead=lead, contender=contender, repetition=seed, from_search=from_search
    )
    location = Location.parse(out)
    manifest, reused = export_model(folder, request, location, output.say)
    value = {**model_value(out, manifest), "reused": reused}
    output.answer(value, model_tables(value, ", reused" if reused else ""))
