"""Finds the recordings that a user names: records with or without suffix, files, folders.

A folder is searched for WFDB records, `.mat` structs of CPSC 2018 and hospital formats. Tables and
arrays must be named themselves, as most CSV files in a folder of recordings are no recordings.

Reads: names of files, and headers of WFDB records that may have segments.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from mvkt_ray.data.recording import RecordingRef
from mvkt_ray.data.sources.hospital.any_file import EXPORT_SUFFIXES
from mvkt_ray.data.wfdb_format.wfdb_files import names_in_header, read_header
from mvkt_ray.errors import ArtifactError, MvktError, RecordingError
from mvkt_ray.storage.location import Location

Kind = Literal["wfdb", "struct", "export", "table", "array"]
TABLE_SUFFIX, ARRAY_SUFFIX = ".csv", ".npy"
_WITHOUT_RATE: dict[str, Kind] = {TABLE_SUFFIX: "table", ARRAY_SUFFIX: "array"}
_KIND_OF_SUFFIX: dict[str, Kind] = {
    **dict.fromkeys(EXPORT_SUFFIXES, "export"), **_WITHOUT_RATE
}  # fmt: skip
_HEADERS = (".hea", ".HEA", ".Hea")
_STRUCTS = (".mat", ".MAT", ".Mat")
_SEGMENT = re.compile(r"(.+)_(?:layout|\d+)")
"""Names of a WFDB record's segments."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NotFound:
    """A name without a recording, and the reason."""

    record: str
    error: RecordingError


Found = RecordingRef | NotFound
"""A recording, with its `Kind` in its metadata, or a name without one."""


def kind_of(ref: RecordingRef) -> Kind:
    """Return the kind of a recording, which selects its reader."""
    kind = ref.metadata["kind"]
    assert kind in ("wfdb", "struct", "export", "table", "array"), kind
    return kind


def find_records(names: Sequence[str]) -> list[Found]:
    """Return the named recordings in order, without duplicates.

    Args:
        names: Paths or URIs of folders, records with or without suffix, CSV files or arrays.

    Raises:
        StoreError: An object store is unavailable, or denies access.
    """
    found: dict[str, Found] = {}
    for name in names:
        for each in _find(name):
            key = each.path if isinstance(each, RecordingRef) else f"{each.record}\0"
            found.setdefault(key, each)
    return list(found.values())


def _find(name: str) -> Iterator[Found]:
    try:
        location = Location.parse(name)
        if location.is_directory():
            yield from _below(name.rstrip("/"), location)
        else:
            yield _one(name, location)
    except RecordingError as error:
        yield NotFound(record=name, error=error)
    except ArtifactError as error:
        yield NotFound(record=name, error=RecordingError(str(error), "missing_file"))


def _one(name: str, location: Location) -> RecordingRef:
    suffix = PurePath(location.name).suffix
    kind = _KIND_OF_SUFFIX.get(suffix.lower())
    if kind is not None and location.is_file():
        return _ref(name, location, kind)
    # `r1.5` may be a record, and `r1.dat` a file of one.
    for ending in dict.fromkeys(("", suffix)):
        record = Location(location.uri.removesuffix(ending))
        if any(Location(f"{record}{header}").is_file() for header in _HEADERS):
            return _ref(name.removesuffix(ending), record, "wfdb")
    if suffix in _STRUCTS and location.is_file():
        return _ref(name.removesuffix(suffix), location, "struct")
    for suffix in _STRUCTS:
        if (struct := Location(f"{location}{suffix}")).is_file():
            return _ref(name, struct, "struct")
    raise RecordingError(_nothing_at(location), "missing_file")


def _nothing_at(location: Location) -> str:
    if not location.is_file():
        return f"there is no record, file or folder {location}"
    return (
        f"{location} is not a supported recording: it is neither CSV nor .npy, nor a file of "
        f"{', '.join(EXPORT_SUFFIXES)}, and has no header .hea beside it"
    )


def _ref(name: str, location: Location, kind: Kind) -> RecordingRef:
    return RecordingRef(source=kind, record_id=name, path=location.uri, metadata={"kind": kind})


def _below(name: str, folder: Location) -> Iterator[Found]:
    unreadable: list[str] = []
    is_empty = True
    for subfolder, _, files in folder.walk(unreadable.append):
        shown = f"{name}{subfolder.uri.removeprefix(folder.uri)}".rstrip("/")
        headers = {_stem(file) for file in files if file.endswith(_HEADERS)}
        structs = {_stem(file): file for file in files if file.endswith(_STRUCTS)}
        parts = _segments(subfolder, headers)
        for stem in sorted(headers | structs.keys()):
            if stem in parts:
                continue
            is_empty = False
            if stem in headers:
                yield _ref(f"{shown}/{stem}", subfolder / stem, "wfdb")
            else:
                yield _ref(f"{shown}/{stem}", subfolder / structs[stem], "struct")
        for file in files:
            if PurePath(file).suffix.lower() in EXPORT_SUFFIXES:
                is_empty = False
                yield _ref(f"{shown}/{file}", subfolder / file, "export")
    for path in unreadable:
        error = RecordingError(f"the folder {path} cannot be read: permission denied", "unreadable")
        yield NotFound(record=path, error=error)
    if is_empty and not unreadable:
        message = (
            f"the folder {folder} holds no WFDB headers, .mat files or hospital formats; give CSV "
            "files and arrays by name"
        )
        yield NotFound(record=name, error=RecordingError(message, "missing_file"))


def _stem(file: str) -> str:
    return file.rpartition(".")[0]


def _segments(folder: Location, stems: set[str]) -> set[str]:
    """Return the records that are segments of another record in the same folder."""
    wholes = {match[1] for stem in stems if (match := _SEGMENT.fullmatch(stem))} & stems
    parts: set[str] = set()
    for whole in wholes if folder.is_local else ():
        try:
            header = read_header((folder / whole).uri)
        except (MvktError, OSError):
            continue  # Reading the record reports the error.
        if header.segments is not None:
            parts |= set(names_in_header(header)) | {f"{whole}_layout"}
    return parts


def tables_and_arrays(found: Sequence[Found]) -> list[RecordingRef]:
    """Return the recordings whose files do not state a sampling rate."""
    refs = (each for each in found if isinstance(each, RecordingRef))
    return [ref for ref in refs if kind_of(ref) in _WITHOUT_RATE.values()]
