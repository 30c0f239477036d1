"""Opens an exported model and verifies the hashes of the files that it uses.

Reads: `manifest.json`, `model.json` and one ONNX graph of a model, in a folder or an object store.
"""

from collections.abc import Sequence
from dataclasses import replace

from mvkt_ray.delivery.predicting.model_file import (
    INT8_NAME,
    MODEL_KIND,
    MODEL_NAME,
    ONNX_NAME,
    ModelFile,
)
from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.artifacts import find_damage, open_file, read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest


def read_model(location: Location, *, int8: bool = False) -> tuple[ModelFile, bytes]:
    """Read an exported model, and verify the hashes of the files read.

    Args:
        location: Location of the artifact.
        int8: Whether to read the int8 graph instead of the float32 graph.

    Returns:
        The content of `model.json`, and the ONNX graph.

    Raises:
        ArtifactError: It is not a model, is damaged, or has no int8 graph.
    """
    manifest = read_manifest(location, MODEL_KIND)
    graph_name = INT8_NAME if int8 else ONNX_NAME
    if int8 and INT8_NAME not in manifest.files:
        raise ArtifactError(
            f"{location} has no {INT8_NAME}: it was exported without an int8 graph. Export it "
            "with one, or leave --int8 out."
        )
    _expect_intact(location, manifest, (MODEL_NAME, graph_name))
    with reading(location / MODEL_NAME, "Export the model again.", ArtifactError):
        content = open_file(location, manifest, MODEL_NAME, lambda path: path.read_bytes())
        model = ModelFile.from_json(content)
    return model, open_file(location, manifest, graph_name, lambda path: path.read_bytes())


def _expect_intact(location: Location, manifest: Manifest, names: Sequence[str]) -> None:
    for name in names:
        if name not in manifest.files:
            raise ArtifactError(
                f"{location} is an incomplete model: {name} is missing. Export it again."
            )
    used = replace(manifest, files={name: manifest.files[name] for name in names})
    problems = find_damage(location, used, hashes=True)
    if problems:
        raise ArtifactError(
            f"{location} was changed after it was published: {'; '.join(problems)}. Restore it "
            f"from a copy, or export it again: {manifest.command or 'mvkt export'}"
        )
