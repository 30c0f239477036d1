"""Brings a file of any claim into memory, and sees that what reads its format is installed."""

import importlib

from mvkt_ray.errors import ArtifactError, ConfigError, RecordingError
from mvkt_ray.storage.location import Location


def read_content(path: str, largest_bytes: int) -> bytes:
    """Return the content of a file, of which no more than so many bytes are taken into memory.

    Raises:
        RecordingError: with reason `missing_file`, `too_large` or `unreadable`.
        StoreError: The store cannot be used.
    """
    pieces: list[bytes] = []
    try:
        pieces.extend(Location(path).chunks(n_bytes=largest_bytes + 1))
    except FileNotFoundError:
        raise RecordingError(f"there is no file {path}", "missing_file") from None
    except ArtifactError as error:
        raise RecordingError(str(error), "unreadable") from error
    content = b"".join(pieces)
    if len(content) > largest_bytes:
        raise RecordingError(
            f"{path} has more than {largest_bytes >> 20} MiB, the limit for this format; cut it "
            "into shorter recordings",
            "too_large",
        )
    return content


def expect_package(module: str, source: str, extra: str) -> None:
    """Import a reader.

    Raises:
        ConfigError: It is not installed; names the extra that brings it.
    """
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"the source {source!r} reads files by {module.partition('.')[0]}, which is not "
            f"installed ({error}). Install it by pip install 'mvkt-ray[{extra}]'."
        ) from None
