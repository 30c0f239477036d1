"""Which files a WFDB record has, said by its header, and how they come here from an object store.

Names are taken as they are written first; where there is no such file, in upper and lower case too,
for files that were copied from a medium without case.

Reads: a `.hea` header and the files that it names, one request each.
"""

from pathlib import Path, PurePosixPath

from mvkt_ray.data.sources.wfdb_header import NO_FILE, NO_SAMPLES, WfdbHeader, parse_header
from mvkt_ray.errors import RecordingError
from mvkt_ray.storage.location import Location


def read_header(path: str) -> WfdbHeader:
    """Read the header of a record on this machine.

    Args:
        path: of the record, without extension.

    Raises:
        RecordingError: There is none (`missing_file`), or it is wrong (see `parse_header`).
    """
    file = find_file(Path(f"{path}.hea"))
    if file is None:
        raise RecordingError(f"there is no file {path}.hea", "missing_file")
    return parse_header(file.read_bytes(), str(file))


def find_file(path: Path) -> Path | None:
    """Return the file, whose name may be written in another case; None where there is none."""
    found = (path.with_name(name) for name in _spellings(path.name))
    return next((each for each in found if each.is_file()), None)


def _spellings(name: str) -> list[str]:
    path = PurePosixPath(name)
    with_suffix = [f"{path.stem}{suffix}" for suffix in (path.suffix.upper(), path.suffix.lower())]
    return list(dict.fromkeys([name, *with_suffix, name.upper(), name.lower()]))


def bring_record(record: Location, folder: Path) -> None:
    """Fetch a record's header and the files that it names; what is missing is not fetched.

    Args:
        record: without extension.
        folder: where the files go, with the names that they have in the header.

    Raises:
        RecordingError: A header is wrong.
        StoreError: The store cannot be used.
    """
    header = _bring_header(record, folder)
    files = names_in_header(header) if header else []
    if header is not None and header.segments is not None:
        # Segments join no segments of their own, so a header that names itself ends here.
        names, files = files, []
        for name in names:
            segment = _bring_header(record.parent / name, (folder / name).parent)
            if segment is not None and segment.segments is None:
                beside = PurePosixPath(name).parent
                files += [str(beside / file) for file in names_in_header(segment)]
    for name in dict.fromkeys(files):
        _bring(record.parent / name, folder / name)


def _bring_header(record: Location, folder: Path) -> WfdbHeader | None:
    file = folder / f"{record.name}.hea"
    if file.exists() or not _bring(Location(f"{record}.hea"), file):
        return None
    return parse_header(file.read_bytes(), f"{record}.hea")


def names_in_header(header: WfdbHeader) -> list[str]:
    """Return the segments that a header joins, or else its signal files, each once."""
    if header.segments is not None:
        names = [segment.name for segment in header.segments]
    else:
        names = [line.file_name for line in header.signals if line.format != NO_SAMPLES]
    return [name for name in dict.fromkeys(names) if name != NO_FILE]


def _bring(source: Location, path: Path) -> bool:
    """Copy a file; return whether it was there."""
    for name in _spellings(source.name):
        try:
            content = b"".join((source.parent / name).chunks())
        except FileNotFoundError:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return True
    return False
