"""Which records lie below a folder, whatever links lead there and however suffixes are written.

Links in a folder of recordings are the user's, and followed wherever they lead: datasets of
git-annex or DVC are made of them. What a file says is not: a path in a header, in a dataset's own
table or in a manifest must be below its folder, by its letters.

Reads: the names of files.
"""

import os
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from mvkt_ray.data.identity import record_key
from mvkt_ray.errors import DataError
from mvkt_ray.storage.location import Location

N_EXAMPLES = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class NotListed:
    """Records that lie in a source's folder, but that its table does not list."""

    n_records: int = 0
    examples: tuple[str, ...] = ()
    """A few of them, as paths below the folder."""
    unreadable: tuple[str, ...] = ()
    """Folders that could not be looked into."""


def list_records(folders: Iterable[Location], suffixes: Collection[str]) -> Iterator[str]:
    """Yield the records below folders, as paths without extension, sorted within each folder.

    A file that is reached by several links is listed once. Hidden files, such as the `._A0001.mat`
    that macOS writes beside each file, are none.

    Args:
        folders: Where to look.
        suffixes: In lower case; a record has a file with one of them.

    Raises:
        DataError: Two records have one name, or a link leads to a folder that is not there.
    """
    path_of: dict[str, str] = {}
    for folder in folders:
        for subfolder, _, files in folder.walk():
            records: dict[str, str] = {}
            for file in files:
                stem, suffix = os.path.splitext(file)
                if suffix.lower() in suffixes:
                    _refuse_two_cases(subfolder, stem, suffix, files)
                    records.setdefault(stem, suffix)
                elif subfolder.is_local:
                    _refuse_dangling(f"{subfolder}/{file}")
            for name in sorted(records):
                path = (subfolder / name).uri
                if is_repeated(path_of, name, path, records[name]):
                    continue
                yield path


def _refuse_two_cases(folder: Location, stem: str, suffix: str, files: Collection[str]) -> None:
    if suffix.islower() or f"{stem}{suffix.lower()}" not in files:
        return
    raise DataError(
        f"{folder} has {stem}{suffix} and {stem}{suffix.lower()}, and only one of them would be "
        "read. Remove or rename the other."
    )


def is_repeated(path_of: dict[str, str], name: str, path: str, suffix: str) -> bool:
    """Note where a record is; return whether the same files were noted before.

    Args:
        path_of: What was noted so far.
        name: Of the record.
        path: Of its files, without extension.
        suffix: Of one of them.

    Raises:
        DataError: Other files were noted under that name.
    """
    before = path_of.setdefault(name, path)
    if before == path:
        return False
    if "://" not in path:
        for file in (f"{before}{suffix}", f"{before}{suffix.lower()}"):
            if os.path.exists(file) and os.path.samefile(file, f"{path}{suffix}"):
                return True
    raise DataError(
        f"two records are called {name!r}: {before} and {path}. An id must name one recording. "
        "Remove the one that is a copy, or rename it."
    )


class RealPaths:
    """Real paths of records: links are followed, each folder asked for once."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def of(self, path: str, suffix: str = ".hea") -> str:
        """Return what is the same for every path that leads to a record, in the form NFC.

        Args:
            path: Of the record, without extension.
            suffix: Of the file that makes it one; it may be a link to that of another name.
        """
        if "://" in path:
            return record_key(path)
        if os.path.islink(f"{path}{suffix}"):
            path = os.path.splitext(os.path.realpath(f"{path}{suffix}"))[0]
        folder, name = os.path.split(path)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return unicodedata.normalize("NFC", f"{self._real[folder]}/{name}")


def records_not_listed(
    folder: Location, listed: Iterable[str], *, below: str = "", suffix: str = ".hea"
) -> NotListed:
    """Count the records that a table does not list.

    Segments of a listed record, which WFDB calls `r1_0001` and `r1_layout`, are parts of it.

    Args:
        folder: That of the source.
        listed: Paths of records, without extension.
        below: Look only in this folder of it.
        suffix: In lower case; a record has a file with it.
    """
    real_paths = RealPaths()
    known = {real_paths.of(path) for path in listed}
    left: list[str] = []
    unreadable: list[str] = []
    for file in files_below(folder / below if below else folder, unreadable):
        path, its_suffix = os.path.splitext(file)
        if its_suffix.lower() != suffix or is_known(path, its_suffix, known, real_paths):
            continue
        left.append(path.removeprefix(f"{folder}/"))
    return NotListed(
        n_records=len(left),
        examples=tuple(nsmallest(N_EXAMPLES, left)),
        unreadable=tuple(unreadable),
    )


def is_known(path: str, suffix: str, known: Collection[str], real_paths: RealPaths) -> bool:
    """Return whether a record is known, or a segment of one that is.

    Args:
        path: Of the record, without extension.
        suffix: Of its file.
        known: What `real_paths` gave for records.
        real_paths: The same.
    """
    key = real_paths.of(path, suffix)
    whole, _, segment = key.rpartition("_")
    return key in known or (whole in known and (segment == "layout" or segment.isdigit()))


def files_below(folder: Location, unreadable: list[str]) -> Iterator[str]:
    """Yield the paths of files, in a stable order; a store is asked once per thousand.

    Args:
        folder: Where to look.
        unreadable: Takes the paths of folders that could not be looked into.
    """
    if folder.is_local:
        for subfolder, _, files in folder.walk(unreadable.append):
            yield from (f"{subfolder}/{file}" for file in files)
    else:
        yield from (f"{folder}/{name}" for name in folder.file_names())


def _refuse_dangling(path: str) -> None:
    if os.path.islink(path) and not os.path.exists(path):
        raise DataError(
            f"{path} is a broken link to {os.readlink(path)}; if that is a folder of recordings, "
            "they would be missed. Mount its disk, or remove the link."
        )
