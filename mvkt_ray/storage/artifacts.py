"""Directories that a stage hands to the next: where they lie, how they are published and checked.

An artifact is a directory whose `manifest.json` is written last. It is made in `<name>.partial` and
published by one rename, so a killed writer leaves nothing that looks finished.

A manifest names files below its folder, and no others; a link there is followed, for it is the
user's, and the hashes tell whether it leads to the file that was published.

An object store cannot rename. There the files are put where they belong and `manifest.json` last;
what only an unfinished artifact needs is in `<name>.partial`, which is removed when all is there.
"""

import contextlib
import os
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from mvkt_ray.errors import ArtifactError, StaleArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import (
    MANIFEST_NAME,
    SCHEMA_VERSION,
    FileEntry,
    Manifest,
    command_line,
)
from mvkt_ray.storage.node_cache import CacheEntry, node_cache
from mvkt_ray.storage.scratch_folder import scratch_folder

T = TypeVar("T")

_PUBLISHING = ".publishing"
"""In the partial folder of an artifact whose files are being put into a store."""


def read_manifest(location: str | Path | Location, kind: str | None = None) -> Manifest:
    """Read and check the manifest of a finished artifact.

    Raises:
        ArtifactError: Nothing finished is there, or it is of another kind or schema version.
    """
    root = Location.parse(location)
    path = root / MANIFEST_NAME
    if not path.exists():
        partial = partial_location(root)
        hint = (
            f"An unfinished one is at {partial}: run its command again with --resume."
            if partial.exists()
            else "Check the path, or run the command that makes it."
        )
        wanted = f"finished {kind}" if kind else "finished artifact"
        raise ArtifactError(f"{root} has no {MANIFEST_NAME}, so it is no {wanted}. {hint}")
    with reading(f"{path}, a manifest,", "Make the artifact again.", ArtifactError):
        manifest = Manifest.from_json(path.read_bytes())
    if manifest.schema_version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{root} has schema version {manifest.schema_version}, this mvkt-ray reads "
            f"{SCHEMA_VERSION}. Make it again with this version."
        )
    if kind is not None and manifest.kind != kind:
        raise ArtifactError(f"{root} is a {manifest.kind}, not a {kind}: give the other folder.")
    return manifest


def find_damage(location: str | Path | Location, manifest: Manifest, *, hashes: bool) -> list[str]:
    """Return one sentence for each file that differs from the manifest.

    Args:
        location: The artifact.
        manifest: Its manifest.
        hashes: Compare hashes, too, which reads every byte; else sizes only.
    """
    root = Location.parse(location)
    size_of = root.file_sizes()

    def check(item: tuple[str, FileEntry]) -> str | None:
        name, entry = item
        if name not in size_of:
            return f"{name} is missing"
        if size_of[name] != entry.size_bytes:
            return f"{name} has {size_of[name]} bytes, the manifest says {entry.size_bytes}"
        if hashes and (sha256 := (root / name).sha256()) != entry.sha256:
            return f"{name} has hash {sha256[:12]}, the manifest says {entry.sha256[:12]}"
        return None

    with ThreadPoolExecutor(max_workers=8) as pool:
        return [problem for problem in pool.map(check, manifest.files.items()) if problem]


def verify_artifact(location: str | Path | Location, *, hashes: bool = True) -> Manifest:
    """Return the manifest if every file agrees with it.

    Raises:
        ArtifactError: A file is missing or was changed after the artifact was published.
    """
    manifest = read_manifest(location)
    problems = find_damage(location, manifest, hashes=hashes)
    if problems:
        raise ArtifactError(
            f"{location} was changed after it was published: {'; '.join(problems[:5])}"
            f"{' and more' if len(problems) > 5 else ''}. "
            f"Make it again: {manifest.command or 'run the command that made it'}"
        )
    return manifest


def open_file(location: Location, manifest: Manifest, name: str, read: Callable[[Path], T]) -> T:
    """Return the value of `read` for a file; from a store it is fetched into the node's cache.

    Args:
        location: The artifact.
        manifest: Its manifest.
        name: Name of the file.
        read: Reader, called with a local path.

    Raises:
        ArtifactError: The file is damaged, or differs from the published one.
    """
    advice = "It was damaged after it was published: make the artifact again."
    with reading(location / name, advice, ArtifactError):
        if location.is_local:
            return read(location.local_path / name)
        entry = manifest.files[name]
        cached = CacheEntry.of_file(location / name, entry.sha256, entry.size_bytes)
        return node_cache().open(cached, read)


def expect_input(user: str, manifest: Manifest, kind: str, fingerprint: str) -> None:
    """Raise unless an artifact was made from the input that it is now used with.

    Raises:
        StaleArtifactError: Names both fingerprints and the command that rebuilds.
    """
    made_from = manifest.inputs.get(kind)
    if made_from != fingerprint:
        raise StaleArtifactError(
            f"{user} was made from {kind} {str(made_from)[:12]}, but is used with {kind} "
            f"{fingerprint[:12]}. Use the {kind} it was made from, or make it again: "
            f"{manifest.command or 'run the command that made it'}"
        )


def partial_location(location: Location) -> Location:
    """Return the staging folder of an artifact; on a store, for temporary files only.

    Raises:
        ArtifactError: The location is a whole bucket.
    """
    return location.parent / f"{location.name}.partial"


def files_location(location: Location) -> Location:
    """Return the folder in which an artifact's files are made; in a store, the final one."""
    return partial_location(location) if location.is_local else location


@contextlib.contextmanager
def build_folder(location: Location) -> Generator[Path]:
    """Give a local folder to make all files of an artifact in, before `publish`.

    It is the partial folder, or, when the artifact will be in a store, a scratch folder of this
    node, which is removed at the end, or by the next process that makes one.
    """
    if location.is_local:
        partial_location(location).make_directory()
        yield partial_location(location).local_path
        return
    with scratch_folder("mvkt-artifact-") as scratch:
        # The lock of the scratch folder must not be published.
        folder = scratch / "files"
        folder.mkdir()
        yield folder


def claim_output(location: Location, recipe: str, *, resume: bool) -> Manifest | None:
    """Check that an artifact may be made at a location.

    Returns:
        The manifest when the same recipe is already there and finished, else None.

    Raises:
        ArtifactError: Something else is there, or an unfinished one without `resume`.
    """
    if (location / MANIFEST_NAME).exists():
        manifest = read_manifest(location)
        if manifest.recipe == recipe:
            return manifest
        raise ArtifactError(
            f"{location} already holds a {manifest.kind} with another configuration or other "
            f"inputs (recipe {manifest.recipe[:12]}, asked for {recipe[:12]}). A finished artifact "
            "is never changed: give another output folder, or remove that one."
        )
    if location.is_file():
        raise ArtifactError(f"{location} is a file. Give a new or empty folder.")
    partial = partial_location(location)
    is_unfinished = partial.exists()
    found = location.names()
    # In a store the files of an unfinished artifact lie at their final places.
    if found and (location.is_local or not is_unfinished):
        raise ArtifactError(
            f"{location} is in use: it is not empty and is no artifact of mvkt-ray "
            f"(it holds {', '.join(found[:3])}). Give a new or empty folder."
        )
    if is_unfinished and not resume:
        raise ArtifactError(
            f"{partial} is an unfinished artifact. Go on with it by --resume, or remove it."
        )
    return None


def publish(
    location: Location,
    *,
    kind: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, str],
    built: Path | None = None,
    n_rows: Mapping[str, int] | None = None,
    known_hashes: Mapping[str, str] | None = None,
    counts: Mapping[str, int] | None = None,
    details: Mapping[str, Any] | None = None,
    command: str | None = None,
) -> Manifest:
    """Write the manifest over all files, then move them into place, or put it last in a store.

    Args:
        location: Where the artifact will be.
        kind: `shards`, `teacher`, `knowledge` or `model`.
        config: What was asked for; plain JSON values.
        inputs: Fingerprints of what it was made from.
        built: The local folder, of `build_folder`, that holds all files; by default they lie in
            `files_location(location)`.
        n_rows: Rows by file name.
        known_hashes: Hashes that the writers already have; the others are computed here.
        counts: Totals for people.
        details: What readers need besides, plain JSON values.
        command: Of the driver, where this process is a worker; by default this process's own.

    Returns:
        The manifest; in a store, that of another writer who was first to publish the same recipe.

    Raises:
        ArtifactError: Another writer has published something else there meanwhile.
    """
    made = files_location(location) if built is None else Location.parse(built)
    rows, hashes = n_rows or {}, known_hashes or {}
    files = {
        name: FileEntry(
            sha256=hashes.get(name) or (made / name).sha256(),
            size_bytes=size_bytes,
            n_rows=rows.get(name),
        )
        for name, size_bytes in made.file_sizes().items()
        if name != MANIFEST_NAME
    }
    manifest = Manifest(
        kind=kind,
        config=config,
        inputs=inputs,
        files=files,
        counts=counts or {},
        details=details or {},
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command or command_line(),
    )
    if location.is_local:
        (made / MANIFEST_NAME).write_bytes(manifest.to_json())
        target = location.local_path
        if target.exists():
            target.rmdir()
        os.replace(made.local_path, target)
        return manifest
    return _put(location, manifest, built)


def _put(location: Location, manifest: Manifest, built: Path | None) -> Manifest:
    """Publish in a store: upload every file, then the manifest, then remove the partial folder."""
    finished = claim_output(location, manifest.recipe, resume=True)
    if finished is not None:
        return finished
    if built is not None:
        # Marks files without a manifest as ours, in case this process is killed.
        (partial_location(location) / _PUBLISHING).write_bytes(b"")

        def upload(name: str) -> None:
            (location / name).upload(built / name)

        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(upload, manifest.files))
    (location / MANIFEST_NAME).write_bytes(manifest.to_json())
    partial_location(location).delete_tree()
    return manifest


def discard_partial(location: Location) -> None:
    """Remove the files that a killed writer left, before the artifact is made from the start."""
    partial = partial_location(location)
    if not location.is_local and partial.exists() and not (location / MANIFEST_NAME).exists():
        location.delete_tree()
    partial.delete_tree()
