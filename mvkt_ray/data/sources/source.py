"""What a source of recordings must offer, and the small things that all of them need.

A source is a frozen dataclass: `location` and options in, no open files, so that it travels to the
ingest tasks of a cluster. Listing is lazy and in a stable order; reading is by the recording.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Literal, Protocol

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.record_files import NotListed
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.object_store import expect_bucket

OVER_89_YEARS = 90.0
"""Stands for "over 89": PTB-XL hides the age of the very old behind the number 300."""

CERTAIN = 100.0
"""Likelihood of a code where the source gives none."""


class Source(Protocol):
    """A dataset that recordings come from; one file each in this folder."""

    name: ClassVar[str]

    @property
    def has_folds(self) -> bool:
        """Whether its recordings come with folds; else patient-disjoint ones are made at ingest."""
        ...

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the recordings, lazily and in a stable order.

        Args:
            sampling_rate_hz: rate that the recordings are wanted at; a source that keeps several
                rates picks its files by it. Recordings may come at another rate.

        Raises:
            DataError: at once, when the folder is missing or holds something else.
        """
        ...

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Count the records that lie in its folder and are no references; none where it lists all.

        Args:
            sampling_rate_hz: as of `references`.
        """
        ...

    def read(self, ref: RecordingRef) -> Recording:
        """Read one recording, in mV, with those of the twelve leads that it has, in their order.

        Whether fewer than twelve will do, and whether a flat one will, is for the ingest to say.

        Raises:
            RecordingError: when it cannot be used; `reason` says why in a word.
        """
        ...

    def tasks(self) -> Mapping[str, Task]:
        """Return the classes that this source can offer, by task name."""
        ...


def find_folder(location: str, holds: str) -> Location:
    """Return a source's folder: an absolute path, or the URI of a folder in an object store.

    Args:
        location: as the user gave it.
        holds: what should be in it, for the message.

    Raises:
        DataError: when it is no folder.
        StoreError: when its store cannot be used, or has no such bucket.
    """
    folder = Location.parse(location)
    if not location or not folder.is_directory():
        if not folder.is_local:
            expect_bucket(folder.uri)
        state = "is a file" if location and folder.is_file() else "does not exist"
        raise DataError(
            f"the folder {location!r} {state}; it should hold {holds}. "
            "Check the path, or download the dataset there first."
        )
    return folder


def age_of(text: str | float | None) -> float | None:
    """Return an age in years; None where it is empty, not a number or negative; 300 gives 90."""
    try:
        age = float(text if text is not None else "nan")
    except ValueError:
        return None
    if not math.isfinite(age) or age < 0:
        return None
    return OVER_89_YEARS if age >= 300 else age


def sex_of(text: str | None) -> Literal["female", "male"] | None:
    """Return the sex that a word or its first letter names, or None (`Unknown`, `NaN`, empty)."""
    word = (text or "").strip().lower()
    if word in ("f", "female"):
        return "female"
    if word in ("m", "male"):
        return "male"
    return None


def each_once(codes: Sequence[str]) -> tuple[str, ...]:
    """Return the codes stripped, without empty ones and repetitions, in their order."""
    return tuple(dict.fromkeys(code.strip() for code in codes if code.strip()))
