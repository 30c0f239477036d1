"""Locations in file systems and object stores: the one way in which files are opened."""

import contextlib
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote

from pyarrow import fs

from mvkt_ray.errors import ArtifactError, StoreError
from mvkt_ray.machine_faults import naming_the_file
from mvkt_ray.storage.local_paths import expect_path, explaining_path, walk_local
from mvkt_ray.storage.object_store import expect_bucket, explaining, open_store
from mvkt_ray.storage.scratch_folder import scratch_folder

# Each read of an object store is a request of this size; small ones would be all latency.
_CHUNK_BYTES = 8 << 20

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
"""RFC 3986: a colon further back, as in `runs/a://b`, belongs to a path."""


@dataclass(frozen=True, slots=True)
class Location:
    """A local path or a URI (`s3://`, `gs://`, `abfss://`), opened through pyarrow.fs."""

    uri: str

    @classmethod
    def parse(cls, text: "str | Path | Location") -> "Location":
        """Make local paths absolute and keep URIs as they are; `file://` URIs are unescaped.

        Raises:
            StoreError: It is neither, most likely.
            ArtifactError: It is no path that can be opened.
        """
        if isinstance(text, Location):
            return text
        value = str(text)
        expect_path(value)
        scheme, _, rest = value.partition(":/")
        if scheme in ("s3", "gs", "abfss") and not rest.startswith("/"):
            raise StoreError(
                f"{value} looks like a URI that lost a slash. Write {scheme}://BUCKET/FOLDER, or "
                f"./{value} for a local path of that name."
            )
        if value.startswith("file://"):
            value = unquote(value.removeprefix("file://"))
        elif _SCHEME.match(value):
            return cls(value.rstrip("/"))
        try:
            return cls(str(Path(value).expanduser().absolute()))
        except RuntimeError:
            raise ArtifactError(
                f"{value} begins with ~ and no user of this machine: no home folder is known for "
                f"it. Give the path in full, or ./{value} for a folder of that name."
            ) from None

    def __truediv__(self, name: str) -> "Location":
        return Location(f"{self.uri}/{name}")

    def __str__(self) -> str:
        return self.uri

    @property
    def name(self) -> str:
        """The last part."""
        return self.uri.rsplit("/", 1)[-1]

    @property
    def parent(self) -> "Location":
        """Everything but the last part.

        Raises:
            ArtifactError: It is a whole bucket.
        """
        parent = self.uri.rsplit("/", 1)[0]
        if parent.endswith(":/"):
            raise ArtifactError(f"{self.uri} is a whole bucket. Give a folder in it.")
        return Location(parent or "/")

    @property
    def is_local(self) -> bool:
        """Whether this is a path of the local file system."""
        return "://" not in self.uri

    @property
    def local_path(self) -> Path:
        """The path, for what must be memory-mapped or locked.

        Raises:
            ArtifactError: The location is not local.
        """
        if not self.is_local:
            raise ArtifactError(
                f"{self.uri} is not a local path, and this step must map or lock files. "
                "Give a folder of a local or shared file system."
            )
        return Path(self.uri)

    def open_filesystem(self) -> tuple[fs.FileSystem, str]:
        """Return the file system and the path inside it.

        Raises:
            StoreError: The URI is wrong, or its store cannot be opened.
        """
        if self.is_local:
            return fs.LocalFileSystem(), self.uri
        return open_store(self.uri)

    @contextlib.contextmanager
    def _opened(self) -> Generator[tuple[fs.FileSystem, str]]:
        """File system and path; what they answer in the block is explained."""
        filesystem, path = self.open_filesystem()
        with explaining_path(self.uri) if self.is_local else explaining(self.uri):
            yield filesystem, path

    def _info(self) -> fs.FileInfo:
        with self._opened() as (filesystem, path):
            return filesystem.get_file_info(path)

    def exists(self) -> bool:
        """Whether a file or directory is there; a directory of a store is there when not empty."""
        return self._info().type != fs.FileType.NotFound

    def is_file(self) -> bool:
        """Whether a file is there, and not a directory."""
        return self._info().type == fs.FileType.File

    def is_directory(self) -> bool:
        """Whether a directory is there; one of a store is there when something is in it."""
        return self._info().type == fs.FileType.Directory

    def size_bytes(self) -> int:
        """Size of the file."""
        return int(self._info().size or 0)

    def modified_at(self) -> datetime:
        """When the file was last written, by the clock of its file system.

        Raises:
            ArtifactError: The file is not there.
        """
        info = self._info()
        if info.type != fs.FileType.File:
            raise ArtifactError(f"{self} is not there; check the path.")
        return info.mtime

    def _list(self, *, recursive: bool) -> list[fs.FileInfo]:
        with self._opened() as (filesystem, path):
            selector = fs.FileSelector(path, allow_not_found=True, recursive=recursive)
            return filesystem.get_file_info(selector)

    def names(self) -> list[str]:
        """Names of what lies directly inside, sorted; empty when the directory is not there."""
        return sorted(info.base_name for info in self._list(recursive=False))

    def walk(
        self, on_unreadable: Callable[[str], None] | None = None
    ) -> "Generator[tuple[Location, list[str], list[str]]]":
        """Yield every directory from here down with its subdirectories and files, by name, sorted.

        Parents come before what is in them, as with `os.walk`, of which it is lazy in the same way:
        a store is asked for one directory at a time, a thousand names a request. What is hidden, by
        a dot in front of its name, is left out. Links to directories are entered, each real
        directory once: by its own path where that is below this one.

        Args:
            on_unreadable: Called with the path of a directory that cannot be read, and is left out;
                without it that is an error.

        Raises:
            ArtifactError: A directory cannot be read.
        """
        if self.is_local:
            for folder, folders, files in walk_local(self.uri, on_unreadable):
                yield Location(folder), folders, files
            return
        listed = [info for info in self._list(recursive=False) if info.base_name[:1] != "."]
        folders = sorted(info.base_name for info in listed if not info.is_file)
        yield self, folders, sorted(info.base_name for info in listed if info.is_file)
        for name in folders:
            yield from (self / name).walk()

    def file_sizes(self) -> dict[str, int]:
        """Bytes of all files inside by relative path, sorted, without hidden files and folders.

        One listing, so it costs a store one request per thousand files.
        """
        _, path = self.open_filesystem()
        found = {
            info.path.removeprefix(path).lstrip("/"): int(info.size or 0)
            for info in self._list(recursive=True)
            if info.is_file
        }
        return {name: found[name] for name in sorted(found) if "/." not in f"/{name}"}

    def file_names(self) -> list[str]:
        """Paths of all files inside, relative and sorted, without hidden files and folders."""
        return list(self.file_sizes())

    def make_directory(self) -> None:
        """Create it with its parents; object stores have none, so nothing is done there."""
        if self.is_local:
            self.local_path.mkdir(parents=True, exist_ok=True)

    def delete(self) -> None:
        """Remove the file, if it is there."""
        with self._opened() as (filesystem, path), contextlib.suppress(FileNotFoundError):
            filesystem.delete_file(path)

    def delete_tree(self) -> None:
        """Remove the directory with all that is in it, if it is there."""
        with self._opened() as (filesystem, path), contextlib.suppress(FileNotFoundError):
            filesystem.delete_dir(path)

    def read_bytes(self) -> bytes:
        """Return the whole content.

        Raises:
            ArtifactError: The file is not there.
        """
        return b"".join(self._chunks())

    def chunks(self, start: int = 0, n_bytes: int | None = None) -> Generator[bytes]:
        """Yield the content from byte `start` on, in pieces; nothing when that is past its end.

        Raises:
            FileNotFoundError: There is no such file, though its bucket is there.
        """
        left = sys.maxsize if n_bytes is None else n_bytes
        try:
            with self._opened() as (filesystem, path), filesystem.open_input_file(path) as file:
                if start:
                    file.seek(min(start, file.size()))
                while chunk := file.read(min(left, _CHUNK_BYTES)):
                    left -= len(chunk)
                    yield chunk
        except FileNotFoundError:
            if not self.is_local:
                expect_bucket(self.uri)
            raise FileNotFoundError(self.uri) from None

    def _chunks(self) -> Generator[bytes]:
        try:
            yield from self.chunks()
        except FileNotFoundError:
            raise ArtifactError(f"{self} is not there; check the path.") from None

    def write_bytes(self, content: bytes) -> None:
        """Write a file so that a reader sees all of it or none; one PUT in an object store."""
        if self.is_local:
            with self.writing_aside() as aside, naming_the_file(aside, len(content)):
                aside.write_bytes(content)
            return
        with self._opened() as (filesystem, path), filesystem.open_output_stream(path) as stream:
            stream.write(content)

    @contextlib.contextmanager
    def writing_aside(self) -> Generator[Path]:
        """Give a local path to write to; its file is moved here if the block ends without error."""
        if not self.is_local:
            with scratch_folder("mvkt-upload-") as folder:
                aside = folder / self.name
                yield aside
                self.upload(aside)
            return
        target = self.local_path
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}.aside")
        try:
            with naming_the_file(target):
                yield aside
                with aside.open("rb+") as stream:
                    os.fsync(stream.fileno())
                os.replace(aside, target)
        finally:
            # What went wrong counts, and a folder that became read-only keeps the rest of it.
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)

    def upload(self, path: Path) -> None:
        """Copy a local file to this location; readers see all of it or none."""
        if self.is_local:
            with self.writing_aside() as aside:
                shutil.copyfile(path, aside)
            return
        # In one call of C++, for closing a stream early would publish a part of the file.
        with self._opened() as (filesystem, target):
            fs.copy_files(
                str(path),
                target,
                source_filesystem=fs.LocalFileSystem(),
                destination_filesystem=filesystem,
                chunk_size=_CHUNK_BYTES,
            )

    def fetch(self, path: Path) -> str:
        """Copy this file to a local path, which appears when it is whole; return its hash as hex.

        Raises:
            ArtifactError: The file is not there.
        """
        digest = hashlib.sha256()
        with Location.parse(path).writing_aside() as aside, aside.open("wb") as stream:
            for chunk in self._chunks():
                digest.update(chunk)
                stream.write(chunk)
        return digest.hexdigest()

    def sha256(self) -> str:
        """Hash of the file's content, as hex."""
        digest = hashlib.sha256()
        for chunk in self._chunks():
            digest.update(chunk)
        return digest.hexdigest()
