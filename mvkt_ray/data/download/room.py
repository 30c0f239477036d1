"""How large a download will be, and whether the folder has room for it."""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from mvkt_ray.data.download.checksums import PART_SUFFIX
from mvkt_ray.data.download.mirrors import Mirror
from mvkt_ray.data.read_ahead import read_ahead
from mvkt_ray.errors import DataError
from mvkt_ray.phrasing import byte_size

_ASKED_PER_GROUP = 4


def estimate_sizes(mirror: Mirror, names: Iterable[str], n_threads: int) -> dict[str, int]:
    """Return bytes by name: what the mirror says of a few files of each kind, and their mean.

    The list of hashes has no sizes, and asking for each of 87,000 files would take as long as
    bringing many of them. Files of one kind (same folder but for the last one or two, same suffix)
    are of one format and duration, or nearly so. A kind of which the mirror says nothing counts 0.
    """
    kinds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        path = PurePosixPath(name)
        kinds["/".join(path.parts[:-2]), path.suffix].append(name)
    asked = [name for kind in kinds.values() for name in _spread(kind)]
    answers = read_ahead(mirror.size_bytes, asked, n_threads=n_threads, n_ahead=4 * n_threads)
    said = dict(zip(asked, answers, strict=True))
    sizes: dict[str, int] = {}
    for kind in kinds.values():
        known = [size for name in _spread(kind) if (size := said[name]) is not None]
        mean = round(sum(known) / len(known)) if known else 0
        sizes |= {name: said.get(name) or mean for name in kind}
    return sizes


def _spread(names: list[str]) -> list[str]:
    step = max(len(names) // _ASKED_PER_GROUP, 1)
    return names[::step][:_ASKED_PER_GROUP]


def expect_room(folder: Path, sizes: Mapping[str, int]) -> None:
    """Check that what is missing fits on the disk, in bytes and in number of files.

    Raises:
        DataError: It does not.
    """
    missing = [name for name in sizes if not (folder / name).exists()]
    needed = sum(sizes[name] for name in missing) - sum(
        part.stat().st_size for name in missing if (part := folder / (name + PART_SUFFIX)).exists()
    )
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise DataError(
            f"{folder} has room for {byte_size(free)}, but about {byte_size(needed)} in "
            f"{len(missing)} files are to be downloaded. Make room, give a folder on a larger "
            "disk, or download a part only (--rate, --only)."
        )
    state = os.statvfs(there)
    # File systems without a fixed number of files say 0 of 0.
    if state.f_files and len(missing) > state.f_favail:
        raise DataError(
            f"{folder} has room for {state.f_favail} more files (inodes), but {len(missing)} are "
            "to be downloaded. Give a folder on another disk."
        )
