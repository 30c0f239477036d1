"""Places in file systems and object stores: the one way in which files are opened."""

import contextlib
import hashlib
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

from mvkt_ray.errors import ArtifactError

_HASH_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Location:
    """A local path or a URI (`s3://`, `gs://`, `abfss://`), opened through pyarrow.fs."""

    uri: str

    @classmethod
    def parse(cls, text: "str | Path | Location") -> "Location":
        """Make local paths absolute and keep URIs as they are."""
        if isinstance(text, Location):
            return text
        value = str(text)
        if "://" in value and not value.startswith("file://"):
            return cls(value.rstrip("/"))
        return cls(str(Path(value.removeprefix("file://")).expanduser().absolute()))

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
        """Everything but the last part."""
        return Location(self.uri.rsplit("/", 1)[0] or "/")

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
        """Return the file system and the path inside it."""
        if self.is_local:
            return fs.LocalFileSystem(), self.uri
        filesystem, path = fs.FileSystem.from_uri(self.uri)
        return filesystem, path

    def _info(self) -> fs.FileInfo:
        filesystem, path = self.open_filesystem()
        return filesystem.get_file_info(path)

    def exists(self) -> bool:
        """Whether a file or directory is there."""
        return self._info().type != fs.FileType.NotFound

    def is_file(self) -> bool:
        """Whether a file is there, and not a directory."""
        return self._info().type == fs.FileType.File

    def size_bytes(self) -> int:
        """Size of the file."""
        return int(self._info().size or 0)

    def names(self) -> list[str]:
        """Names of what lies directly inside, sorted; empty when the directory is not there."""
        filesystem, path = self.open_filesystem()
        selector = fs.FileSelector(path, allow_not_found=True)
        return sorted(info.base_name for info in filesystem.get_file_info(selector))

    def file_names(self) -> list[str]:
        """Paths of all files inside, relative and sorted, without hidden files and folders."""
        filesystem, path = self.open_filesystem()
        selector = fs.FileSelector(path, allow_not_found=True, recursive=True)
        found = [info.path for info in filesystem.get_file_info(selector) if info.is_file]
        names = [name.removeprefix(path).lstrip("/") for name in found]
        return sorted(name for name in names if "/." not in f"/{name}")

    def make_directory(self) -> None:
        """Create it with its parents."""
        filesystem, path = self.open_filesystem()
        filesystem.create_dir(path, recursive=True)

    def read_bytes(self) -> bytes:
        """Return the whole content.

        Raises:
            ArtifactError: The file is not there.
        """
        filesystem, path = self.open_filesystem()
        try:
            with filesystem.open_input_stream(path) as stream:
                return stream.read()
        except FileNotFoundError:
            raise ArtifactError(f"{self} is not there; check the path.") from None

    def write_bytes(self, content: bytes) -> None:
        """Write a file so that a reader sees all of it or none."""
        if not self.is_local:
            filesystem, path = self.open_filesystem()
            with filesystem.open_output_stream(path) as stream:
                stream.write(content)
            return
        with self.writing_aside() as aside:
            aside.write_bytes(content)

    @contextlib.contextmanager
    def writing_aside(self) -> Generator[Path]:
        """Give a path to write to, moved to this one when the block ends without an error."""
        target = self.local_path
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}.aside")
        try:
            yield aside
            with aside.open("rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(aside, target)
        finally:
            aside.unlink(missing_ok=True)

    def sha256(self) -> str:
        """Hash of the file's content, as hex."""
        filesystem, path = self.open_filesystem()
        digest = hashlib.sha256()
        with filesystem.open_input_stream(path) as stream:
            while chunk := stream.read(_HASH_CHUNK_BYTES):
                digest.update(chunk)
        return digest.hexdigest()
