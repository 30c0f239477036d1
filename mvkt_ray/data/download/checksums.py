"""The list of hashes at the root of a dataset, as `sha256sum` writes it.

Reads: `SHA256SUMS.txt`.
"""

import re
from pathlib import PurePosixPath

from mvkt_ray.errors import DataError

SUMS_NAME = "SHA256SUMS.txt"

PART_SUFFIX = ".part"
"""Suffix of an incomplete file."""

_LINE = re.compile(r"([0-9a-fA-F]{64}) [ *]?(\S.*)")


def parse_checksums(text: str, where: str) -> dict[str, str]:
    """Return sha256 as hex by relative name, in the order of the list.

    Args:
        text: of the list; both `HASH  NAME` and PhysioNet's `HASH NAME` are read.
        where: the list is from, for messages.

    Raises:
        DataError: A line is no hash and name, a name leads out of the folder or is there twice with
            two hashes, or there is none.
    """
    sums: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise DataError(
                f"{where}, line {number}: {line[:80]!r} is not a hash and a file name, as "
                "sha256sum writes them. Give the root of a PhysioNet dataset, or of a copy."
            )
        sha256, name = match[1].lower(), match[2].removeprefix("./")
        if not is_safe(name):
            raise DataError(
                f"{where}, line {number}: the name {name!r} is not a path below the folder; "
                "nothing was written. Do not use this mirror."
            )
        if sums.setdefault(name, sha256) != sha256:
            raise DataError(
                f"{where}, line {number}: {name!r} is listed twice with different hashes. Use "
                "another mirror."
            )
    if not sums:
        raise DataError(
            f"{where} names no files. Give the root of a dataset of PhysioNet, or of a copy of it."
        )
    return sums


def is_safe(name: str) -> bool:
    """Whether a name stays below the folder that it is joined to, and is none of ours."""
    path = PurePosixPath(name)
    return (
        not path.is_absolute()
        and path.as_posix() == name
        and name.isprintable()
        and "\\" not in name
        and not any(part.startswith(".") for part in path.parts)
        and not name.endswith(PART_SUFFIX)
        and name != SUMS_NAME
    )
