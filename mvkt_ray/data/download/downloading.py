"""Brings a dataset to a folder: many files at a time, each checked by its hash.

Killed at any moment and started again, it goes on: what is there and right is kept, partial files
are continued. The folder is then what the source of that name reads.

Reads: a mirror's `SHA256SUMS.txt` and the files that it names.
Writes: the same names in the folder; `NAME.part` while a file is on its way.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.data.download.checksums import SUMS_NAME, parse_checksums
from mvkt_ray.data.download.mirrors import open_mirror
from mvkt_ray.data.download.one_file import FileFetcher, FileOutcome, Patience
from mvkt_ray.data.download.published import PublishedDataset, files_of_parts
from mvkt_ray.data.download.room import estimate_sizes, expect_room
from mvkt_ray.data.read_ahead import read_ahead
from mvkt_ray.errors import DataError
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.output_lock import holding

_N_THREADS = 8
_N_AHEAD = 64
"""Files under way or waiting: one that is large does not hold up the others."""

_SHOWN = 3
"""Examples in a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadProgress:
    """How far a download is."""

    n_files: int
    n_files_done: int
    n_bytes: int
    """Brought so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DownloadSummary:
    """Outcome of a download."""

    mirror: str
    n_kept: int
    """Files that were there already, and right."""
    n_fetched: int
    """Files that were not there."""
    n_repaired: int
    """Files that were there, but wrong."""
    n_bytes: int
    """Brought now."""


def download(
    dataset: PublishedDataset,
    folder: Path,
    *,
    mirror: str | None = None,
    parts: Sequence[str] = (),
    patience: Patience | None = None,
    on_progress: Callable[[DownloadProgress], None] | None = None,
) -> DownloadSummary:
    """Bring a dataset, or some parts of it, to a folder.

    Args:
        dataset: What to bring.
        folder: New, empty, or with what an earlier download brought.
        mirror: URL, URI or folder that has `SHA256SUMS.txt`; the dataset's own by default.
        parts: Of the dataset; all by default.
        patience: With a mirror that does not answer.
        on_progress: Called after every file.

    Raises:
        ConfigError: The dataset has no such part, or the mirror is not one.
        DataError: The folder is something else or too small, or some files of the mirror are
            missing or wrong; all others are there then.
        StoreError: The mirror cannot be used or does not answer.
    """
    folder = folder.expanduser().absolute()
    folders = dataset.chosen_parts(parts)
    source = open_mirror(mirror or dataset.mirror, _N_THREADS)
    fetcher = FileFetcher(mirror=source, folder=folder, patience=patience or Patience())
    _expect_folder(folder)
    with holding(Location.parse(folder)):
        content = fetcher.read_whole(SUMS_NAME)
        where = f"{source}/{SUMS_NAME}"
        listed = parse_checksums(content.decode("utf-8", errors="replace"), where)
        sums = files_of_parts(listed, folders.values())
        for part, below in folders.items():
            if not any(name.startswith(below) for name in sums):
                raise DataError(
                    f"{where} lists no files in {below}, the folder of {dataset.part_word} {part} "
                    f"of {dataset.title}. Name a mirror of this dataset and version."
                )
        _expect_same_list(folder, content)
        expect_room(folder, estimate_sizes(source, sums, _N_THREADS))
        (Location.parse(folder) / SUMS_NAME).write_bytes(content)
        outcomes = _bring_all(fetcher, sums, on_progress)
    return _sum_up(fetcher, outcomes)


def _expect_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise DataError(f"{folder} is a file. Give a new or empty folder to download to.")
    there = sorted(path.name for path in folder.glob("[!.]*"))
    if there and SUMS_NAME not in there:
        raise DataError(
            f"{folder} holds {', '.join(there[:_SHOWN])} but no {SUMS_NAME}, so it may hold other "
            "data, which must not be replaced. Give a new or empty folder; or, if it is a copy "
            f"of the dataset, add the dataset's {SUMS_NAME} to complete it."
        )


def _expect_same_list(folder: Path, content: bytes) -> None:
    kept = folder / SUMS_NAME
    if kept.exists() and kept.read_bytes() != content:
        raise DataError(
            f"{folder} holds another dataset, or another version of it: its {SUMS_NAME} is not "
            "that of the mirror. Give a new folder; or empty this one, to download the dataset "
            "again."
        )


def _bring_all(
    fetcher: FileFetcher,
    sums: Mapping[str, str],
    on_progress: Callable[[DownloadProgress], None] | None,
) -> list[FileOutcome]:
    outcomes: list[FileOutcome] = []
    n_bytes = 0
    for outcome in read_ahead(
        lambda name: fetcher.bring(name, sums[name]),
        sums,
        n_threads=_N_THREADS,
        n_ahead=_N_AHEAD,
        at_end=fetcher.end,
    ):
        outcomes.append(outcome)
        n_bytes += outcome.n_bytes
        if on_progress is not None:
            on_progress(
                DownloadProgress(n_files=len(sums), n_files_done=len(outcomes), n_bytes=n_bytes)
            )
    return outcomes


def _sum_up(fetcher: FileFetcher, outcomes: Sequence[FileOutcome]) -> DownloadSummary:
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    if failed:
        examples = "; ".join(f"{outcome.name}: {outcome.problem}" for outcome in failed[:_SHOWN])
        more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        raise DataError(
            f"{len(failed)} of {len(outcomes)} files could not be downloaded from "
            f"{fetcher.mirror} ({examples}{more}); all others are in {fetcher.folder}. Run the "
            "same command again, or name another mirror with --from: only missing files are "
            "fetched."
        )
    states = Counter(outcome.state for outcome in outcomes)
    return DownloadSummary(
        mirror=str(fetcher.mirror),
        n_kept=states["kept"],
        n_fetched=states["fetched"],
        n_repaired=states["repaired"],
        n_bytes=sum(outcome.n_bytes for outcome in outcomes),
    )
