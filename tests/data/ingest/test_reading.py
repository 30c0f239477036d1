"""A store that does not answer for a while costs time; one that stays silent stops the job."""

import errno
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from mvkt_ray.data.ingest.reading import read_recordings
from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources import Source, open_source
from mvkt_ray.data.sources.record_files import NotListed
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import MachineError, RecordingError, StoreError, StoreUnreachableError


@dataclass
class SilentAtTimes:
    """Synthetic recordings in a store; each fails as often as is said here before it comes."""

    name: ClassVar[str] = "silent"

    failures: Mapping[str, list[Exception]]
    n_reads: Counter[str] = field(default_factory=Counter)
    inner: Source = field(
        default_factory=lambda: open_source("synthetic", "-", {"n_recordings": 5})
    )

    @property
    def has_folds(self) -> bool:
        return False

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        for ref in self.inner.references(sampling_rate_hz):
            yield RecordingRef(
                source=ref.source,
                record_id=ref.record_id,
                path=f"s3://bucket/{ref.record_id}",
                metadata=ref.metadata,
            )

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        return NotListed()

    def read(self, ref: RecordingRef) -> Recording:
        self.n_reads[ref.record_id] += 1
        left = self.failures.get(ref.record_id, [])
        if left:
            raise left.pop()
        return self.inner.read(ref)

    def tasks(self) -> Mapping[str, Task]:
        return self.inner.tasks()


def silence(n_times: int) -> list[Exception]:
    return [
        StoreUnreachableError("s3://bucket: the store does not answer.") for _ in range(n_times)
    ]


def test_a_silent_store_is_asked_again_and_the_order_stays() -> None:
    ids = [ref.record_id for ref in SilentAtTimes({}).references(100)]
    bad = RecordingError("it is truncated", "truncated")
    source = SilentAtTimes({ids[0]: silence(3), ids[2]: silence(1), ids[3]: [bad]})
    found = list(read_recordings(source, list(source.references(100)), waits_s=(0, 0, 0)))
    assert [one.record_id for one in found if isinstance(one, Recording)] == [
        *ids[:3],
        ids[4],
    ]
    assert found[3] is bad
    assert [source.n_reads[name] for name in ids] == [4, 1, 2, 1, 1]


def test_a_store_that_stays_silent_or_refuses_is_no_bad_recording() -> None:
    ids = [ref.record_id for ref in SilentAtTimes({}).references(100)]
    source = SilentAtTimes({ids[1]: silence(9)})
    with pytest.raises(StoreUnreachableError):
        list(read_recordings(source, list(source.references(100)), waits_s=(0, 0)))
    assert source.n_reads[ids[1]] == 3
    source = SilentAtTimes({ids[1]: [StoreError("s3://bucket: access is denied.")]})
    with pytest.raises(StoreError, match="denied"):
        list(read_recordings(source, list(source.references(100)), waits_s=(0, 0)))
    assert source.n_reads[ids[1]] == 1


@pytest.mark.parametrize(
    "cause", [MemoryError(), OSError(errno.EIO, "Input/output error"), OSError(errno.EMFILE, "x")]
)
def test_what_the_machine_does_puts_no_recording_into_quarantine(cause: Exception) -> None:
    ids = [ref.record_id for ref in SilentAtTimes({}).references(100)]
    unreadable = RecordingError("it cannot be read", "unreadable")
    unreadable.__cause__ = cause
    source = SilentAtTimes({ids[1]: [unreadable]})
    with pytest.raises(MachineError, match="--resume"):
        list(read_recordings(source, list(source.references(100)), waits_s=()))
