"""Which files a WFDB record has, said by its header, and how they come here from an object store.

A header whose suffix is in upper case was copied from a medium without case: the files that it
names may then be in another case too. Otherwise names are taken as they are written, for `r1` and
`R1` may be two records.

Reads: a `.hea` header and the files that it names, one request each.
"""

from pathlib import Path, PurePosixPath

from mvkt_ray.data.wfdb_format.wfdb_header import NO_FILE, NO_SAMPLES, WfdbHeader, parse_header
from mvkt_ray.errors import RecordingError
from mvkt_ray.storage.location import Location

_SUFFIXES = (".hea", ".HEA", ".Hea")


def read_header(path: str) -> WfdbHeader:
    """Read the header of a record on this machine.

    Args:
        path: of the record, without extension.

    Raises:
        RecordingError: There is none (`missing_file`), or it is wrong (see `parse_header`).
    """
    for suffix in _SUFFIXES:
        file = Path(f"{path}{suffix}")
        if file.is_file():
            return parse_header(file.read_bytes(), str(file))
    raise RecordingError(f"there is no file {path}.hea", "missing_file")


def find_signal_file(header: WfdbHeader, name: str) -> Path | None:
    """Return a file that a header on this machine names; None where there is none."""
    path = Path(header.file).parent / name
    found = (path.with_name(each) for each in _spellings(path.name, header))
    return next((each for each in found if each.is_file()), None)


def _spellings(name: str, header: WfdbHeader) -> list[str]:
    if header.file.endswith(_SUFFIXES[0]):
        return [name]
    return list(dict.fromkeys([name, name.upper(), name.lower()]))


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
    if header is None:
        return
    if header.segments is None:
        _bring_signal_files(header, record.parent, folder)
        return
    for name in names_in_header(header):
        beside = (folder / name).parent
        segment = _bring_header(record.parent / name, beside)
        # Segments join no segments of their own, so a header that names itself ends here.
        if segment is not None and segment.segments is None:
            _bring_signal_files(segment, (record.parent / name).parent, beside)


def _bring_header(record: Location, folder: Path) -> WfdbHeader | None:
    if any((folder / f"{record.name}{suffix}").exists() for suffix in _SUFFIXES):
        return None
    for suffix in _SUFFIXES:
        file = folder / f"{record.name}{suffix}"
        if _bring(Location(f"{record}{suffix}"), file):
            return parse_header(file.read_bytes(), f"{record}{suffix}")
    return None


def _bring_signal_files(header: WfdbHeader, source: Location, folder: Path) -> None:
    for name in names_in_header(header):
        path = PurePosixPath(name)
        for spelling in _spellings(path.name, header):
            beside = str(path.with_name(spelling))
            if (folder / beside).exists() or _bring(source / beside, folder / beside):
                break


def names_in_header(header: WfdbHeader) -> list[str]:
    """Return the segments that a header joins, or else its signal files, each once."""
    if header.segments is not None:
        names = [segment.name for segment in header.segments]
    else:
        names = [line.file_name for line in header.signals if line.format != NO_SAMPLES]
    return [name for name in dict.fromkeys(names) if name != NO_FILE]


def _bring(source: Location, path: Path) -> bool:
    """Copy a file; return whether it was there."""
    try:
        content = b"".join(source.chunks())
    except FileNotFoundError:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return True
