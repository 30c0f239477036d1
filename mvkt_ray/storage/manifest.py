"""Manifests of artifacts: recipe, inputs and the hash of every file."""

import hashlib
import json
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from mvkt_ray import __version__
from mvkt_ray.phrasing import without_passwords

SCHEMA_VERSION = 3
MANIFEST_NAME = "manifest.json"


def fingerprint_of(value: Any) -> str:
    """Return the SHA-256 of a value's JSON, with sorted keys, as hex."""
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
    """Description of a finished artifact: its recipe, its inputs, and the hash of every file."""

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
        """Hash of kind, configuration and inputs: an artifact of the same recipe is used again."""
        return recipe_of(self.kind, self.config, self.inputs)

    @property
    def fingerprint(self) -> str:
        """Hash of the recipe and of the content of all files."""
        content = {name: entry.sha256 for name, entry in self.files.items()}
        return fingerprint_of([self.recipe, content])

    @property
    def size_bytes(self) -> int:
        """Size of all files."""
        return sum(entry.size_bytes for entry in self.files.values())

    def to_json(self) -> bytes:
        """Return indented JSON with the fingerprint and a hash of the text itself."""
        value = {**asdict(self), "fingerprint": self.fingerprint}
        # Hashed as `from_json` reads it: JSON makes keys text, and tuples lists.
        value = json.loads(json.dumps(value, default=str))
        return (json.dumps({**value, "sha256": fingerprint_of(value)}, indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Manifest":
        """Return the manifest that `to_json` wrote.

        Raises:
            ValueError: The text was edited, or names a file outside the folder.
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
    """Return the hash of an artifact's kind, configuration and inputs."""
    return fingerprint_of([kind, SCHEMA_VERSION, config, inputs])


def command_line() -> str:
    """Return this process's command line, quoted for a shell, with passwords in URLs masked."""
    words = map(without_passwords, sys.argv[1:])
    return shlex.join([Path(sys.argv[0]).name, *words])
