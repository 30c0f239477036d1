"""Which files a WFDB record has, said by its header, and how they come here from an object store.

Reads: a `.hea` header and the files that it names, one request each.
"""

from pathlib import Path, PurePosixPath

from mvkt_ray.errors import RecordingError
from mvkt_ray.storage.location import Location

_NO_SIGNAL = "~"
"""What a header writes for a signal or a segment without a file."""


def bring_record(record: Location, folder: Path) -> None:
    """Fetch a record's header and the files that it names; what is missing is not fetched.

    Args:
        record: without extension.
        folder: where the files go, with the names that they have.

    Raises:
        RecordingError: A name leads out of the record's folder.
        StoreError: The store cannot be used.
    """
    segments, files = _bring_header(record, folder)
    for name in segments:
        # Segments join no segments of their own, so a header that names itself ends here.
        _, more = _bring_header(record.parent / name, (folder / name).parent)
        files += [str(PurePosixPath(name).parent / file) for file in more]
    for name in files:
        _bring(record.parent / name, folder / name)


def _bring_header(record: Location, folder: Path) -> tuple[list[str], list[str]]:
    header = folder / f"{record.name}.hea"
    if header.exists() or not _bring(Location(f"{record}.hea"), header):
        return [], []
    segments, files = names_in_header(header.read_text("ascii", errors="ignore"))
    for name in (*segments, *files):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise RecordingError(
                f"{record}.hea names {name!r}, which is not below its folder", "missing_file"
            )
    return segments, files


def names_in_header(text: str) -> tuple[list[str], list[str]]:
    """Return the records that a header joins as segments, and the signal files that it names.

    Only names are taken here, each once; whether the header is right is for wfdb to say.
    """
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        return [], []
    first_words = (line.split(maxsplit=1)[0] for line in lines[1:])
    names = [name for name in dict.fromkeys(first_words) if name != _NO_SIGNAL]
    joins_segments = "/" in lines[0].split(maxsplit=1)[0]
    return (names, []) if joins_segments else ([], names)


def _bring(source: Location, path: Path) -> bool:
    """Copy a file; return whether it was there."""
    try:
        content = b"".join(source.chunks())
    except FileNotFoundError:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True
