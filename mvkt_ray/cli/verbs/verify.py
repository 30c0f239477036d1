"""`mvkt verify`: are the files of an artifact still those that were published?"""

from typing import Annotated

import typer

from mvkt_ray.cli.options import VerbOutput
from mvkt_ray.display.console import facts
from mvkt_ray.phrasing import byte_size


def verify_verb(
    output: VerbOutput,
    artifact: Annotated[
        str, typer.Argument(metavar="ARTIFACT", help="Folder of shards, a teacher or knowledge.")
    ],
) -> None:
    """Check every byte of an artifact against the hashes in its manifest.

    Exits with 0 when all files are as they were published, with 2 when one is missing or changed.
    """
    from mvkt_ray.storage.artifacts import verify_artifact

    manifest = verify_artifact(artifact)
    value = {
        "artifact": artifact,
        "kind": manifest.kind,
        "files": len(manifest.files),
        "size_bytes": manifest.size_bytes,
        "fingerprint": manifest.fingerprint,
        "intact": True,
    }
    rows: dict[str, object] = {
        "intact": f"{manifest.kind} in {artifact}",
        "files": f"{len(manifest.files)}, {byte_size(manifest.size_bytes)}",
        "fingerprint": manifest.fingerprint,
    }
    output.answer(value, [facts(rows)])
