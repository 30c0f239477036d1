"""Directories that a stage hands to the next: where they lie, how they are published and checked.

An artifact is a directory whose `manifest.json` is written last. It is made in `<name>.partial` and
published by one rename, so a killed writer leaves nothing that looks finished.

A manifest names files below its folder, and no others; a link there is followed, for it is the
user's, and the hashes tell whether it leads to the file that was published.

An object store cannot rename. There the files are put where they belong and `manifest.json` last;
what only an unfinished artifact needs is in `<name>.partial`, which is removed when all is there.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import filelock

from mvkt_ray import __version__
from mvkt_ray.errors import ArtifactError, StaleArtifactError
from mvkt_ray.file_guards import reading, writing
from mvkt_ray.phrasing import without_passwords
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.node_cache import CacheEntry, node_cache
from mvkt_ray.storage.object_store import check_writable
from mvkt_ray.storage.scratch_folder import scratch_folder

T = TypeVar("T")

SCHEMA_VERSION = 3
MANIFEST_NAME = "manifest.json"
_PATIENCE_S = 0.2
"""Whoever only asks whether an output is held holds it for an instant; see `is_held`."""

_PUBLISHING = ".publishing"
"""In the partial folder of an artifact whose files are being put into a store."""


def fingerprint_of(value: Any) -> str:
    """Hash anything that JSON can write; equal values give equal hex strings."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    """One file of an artifact."""

    sha256: str
    size_bytes: int
    n_rows: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What an artifact says of itself."""

    kind: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    """Fingerprints of the artifacts that it was made from, by kind."""
    files: Mapping[str, FileEntry]
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    schema_version: int = SCHEMA_VERSION
    package_version: str = __version__
    created_at: str = ""
    command: str = ""

    @property
    def recipe(self) -> str:
        """Hash of what was asked for: the same recipe need not be made twice."""
        return recipe_of(self.kind, self.config, self.inputs)

    @property
    def fingerprint(self) -> str:
        """Hash of what was asked for and of what came out."""
        content = {name: entry.sha256 for name, entry in self.files.items()}
        return fingerprint_of([self.recipe, content])

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size_bytes for entry in self.files.values())

    def to_json(self) -> bytes:
        """Write it for people and for `from_json`."""
        value = {**asdict(self), "fingerprint": self.fingerprint}
        # As JSON gives it back: keys are text there, and tuples are lists.
        value = json.loads(json.dumps(value, default=str))
        return (json.dumps({**value, "sha256": fingerprint_of(value)}, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Read what `to_json` wrote.

        Raises:
            ValueError: It was changed since.
        """
        value = json.loads(content)
        own_hash = value.pop("sha256")
        if own_hash != fingerprint_of(value) and value["schema_version"] == SCHEMA_VERSION:
            raise ValueError("it was edited: its content has another hash than it says")
        value.pop("fingerprint")
        files = {name: FileEntry(**entry) for name, entry in value.pop("files").items()}
        for name in files:
            if not name or name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise ValueError(f"it names the file {name!r}, which is not below its folder")
        return cls(files=files, **value)


def recipe_of(kind: str, config: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Hash of what an artifact is asked to be."""
    return fingerprint_of([kind, SCHEMA_VERSION, config, inputs])


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
    """Compare files with the manifest; return one sentence per difference.

    Args:
        location: The artifact.
        manifest: Its manifest.
        hashes: Read every byte; else only compare sizes.
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
    """Raise unless every file is as the manifest says.

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
    """Return what `read` makes of a file of an artifact; from a store by way of the node's cache.

    Args:
        location: The artifact.
        manifest: Its manifest.
        name: Of the file.
        read: Called with a local path.

    Raises:
        ArtifactError: The file is not the one that was published, or is damaged.
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
    """Where the files of an artifact are while it is made: in a store, where they stay."""
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
        # All in it is the artifact's: the lock is beside it.
        folder = scratch / "files"
        folder.mkdir()
        yield folder


def claim_output(location: Location, recipe: str, *, resume: bool) -> Manifest | None:
    """Decide what to do with an output location.

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
    # In a store the first files of an unfinished artifact are where the finished ones will be.
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


@contextlib.contextmanager
def holding(location: Location) -> Generator[None]:
    """Keep other processes of this file system from writing the same output at the same time.

    An object store has no locks, and needs none here: of two writers of one output each puts whole
    files and then a manifest, which says what was asked for (its recipe) and has a hash per file.
    `publish` leaves what another has published alone. Shards of one recipe are the same bytes
    whoever writes them; where the bytes may differ, as weights trained on GPUs do, a reader that
    meets a file of the one and the manifest of the other refuses it by its hash.

    Raises:
        ArtifactError: Another process holds it, or nothing can be written there.
        StoreError: The store refuses to be written to.
    """
    if not location.is_local:
        if not (location / MANIFEST_NAME).exists():
            check_writable(location.uri)
        yield
        return
    path = location.local_path
    lock = filelock.FileLock(_lock_path(path))
    with writing(location, "Give an output folder where you may write."):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=_PATIENCE_S, poll_interval=0.05)
        except filelock.Timeout:
            raise ArtifactError(
                f"{location} is in use: another process writes it now. Wait until it ends, or give "
                "another output folder."
            ) from None
    try:
        yield
    finally:
        lock.release()


def is_held(location: Location) -> bool:
    """Whether a process of this file system writes a local output now, as far as can be seen.

    Nothing is written, so that it may be asked of a folder that may only be read.
    """
    lock = _lock_path(location.local_path)
    try:
        with lock.open("rb") as file:
            # Shared, and let go at once: `holding` asks again for longer than that.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _lock_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")


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
    """Publish in a store: every file, then the manifest, then nothing is unfinished any more."""
    finished = claim_output(location, manifest.recipe, resume=True)
    if finished is not None:
        return finished
    if built is not None:
        # Files without a manifest are known as ours by it, should this process be killed.
        (partial_location(location) / _PUBLISHING).write_bytes(b"")

        def upload(name: str) -> None:
            (location / name).upload(built / name)

        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(upload, manifest.files))
    (location / MANIFEST_NAME).write_bytes(manifest.to_json())
    partial_location(location).delete_tree()
    return manifest


def command_line() -> str:
    """Return how this process was called, as a shell would take it, but for passwords in URLs."""
    words = map(without_passwords, sys.argv[1:])
    return shlex.join([Path(sys.argv[0]).name, *words])


def discard_partial(location: Location) -> None:
    """Remove what a killed writer left, before the artifact is made anew."""
    partial = partial_location(location)
    if not location.is_local and partial.exists() and not (location / MANIFEST_NAME).exists():
        location.delete_tree()
    partial.delete_tree()
