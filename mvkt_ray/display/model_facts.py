"""An exported model for `mvkt export` and `mvkt inspect`, from its manifest."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mvkt_ray.display.console import facts, grid
from mvkt_ray.phrasing import byte_size

if TYPE_CHECKING:
    from mvkt_ray.storage.manifest import Manifest


def model_value(out: str, manifest: "Manifest") -> dict[str, Any]:
    """Return a model's manifest as a JSON object."""
    made = manifest.config
    return {
        "kind": manifest.kind,
        "out": out,
        "fingerprint": manifest.fingerprint,
        "study": made["study"],
        "lead": made["condition"],
        "contender": made["contender"],
        "seed": made["repetition"],
        "files": {name: entry.size_bytes for name, entry in manifest.files.items()},
        **manifest.details,
        "inputs": dict(manifest.inputs),
        "created_at": manifest.created_at,
        "command": manifest.command,
    }


def model_tables(value: Mapping[str, Any], remark: str = "") -> list[RenderableType]:
    """Return the tables of facts and files.

    Args:
        value: Result of `model_value`.
        remark: Text after the model's path.
    """
    network, left_out = value["network"], value["int8_left_out"]
    examined = "examined on the test split" if value["examined"] else "NOT examined"
    int8 = (
        f"left out: {left_out}"
        if left_out
        else f"macro AUROC {value['int8_macro_auroc']:.4f} on validation"
    )
    rows = {
        "model": f"{value['out']}{remark}",
        "student": f"{value['contender']} of {value['lead']}, seed {value['seed']}, {examined}",
        "size": f"{network['n_parameters']:,} parameters, "
        f"{network['n_multiply_accumulates']:,} multiply-accumulates per window",
        "validation": f"macro AUROC {value['macro_auroc']:.4f}",
        "parity": f"{value['largest_difference_to_torch']:.1e} between onnxruntime and torch",
        "int8": int8,
        "card": f"{value['out']}/README.md",
    }
    table = grid(
        ["file", "size", "10 s recording", "peak memory"],
        right=["size", "10 s recording", "peak memory"],
    )
    for name, size in value["files"].items():
        median, peak = value["median_ms"].get(name), value["peak_bytes"].get(name)
        table.add_row(
            name,
            byte_size(size),
            "" if median is None else f"{median:.2f} ms",
            "" if peak is None else byte_size(peak),
        )
    return [facts(rows), table]
