"""Reads the recordings of a source one after the other, and rides out a store that does not answer.

Reads: a source, or recordings that are named one by one.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from mvkt_ray.data.read_ahead import read_ahead
from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.errors import RecordingError, StoreUnreachableError
from mvkt_ray.machine_faults import machine_fault
from mvkt_ray.storage.location import Location

logger = logging.getLogger(__name__)

_N_REMOTE_READS = 8
"""At a time in one job: a recording of 100 Hz is 24 kB, whose transfer is all latency."""

_WAITS_S = (5.0, 20.0, 60.0)
"""Before asking a store again, which its client has asked several times within seconds already."""


class ReadsRecordings(Protocol):
    """Whatever reads a recording, such as a source; from several threads at once."""

    def read(self, ref: RecordingRef) -> Recording:
        """Read one recording.

        Raises:
            RecordingError: when it cannot be used.
        """
        ...


def read_recordings(
    source: ReadsRecordings, refs: Sequence[RecordingRef], waits_s: Sequence[float] = _WAITS_S
) -> Iterator[Recording | RecordingError]:
    """Yield each recording in order, or why it cannot be used; several at a time from a store.

    Args:
        source: reads the recordings.
        refs: all local, or all in a store.
        waits_s: before each further attempt when the store does not answer.

    Raises:
        MachineError: Memory or a disk fails, which is no fault of a recording either.
        StoreError: The store refuses, or does not answer at the last attempt either: that is no
            fault of a recording.
    """
    is_over = threading.Event()

    def read(ref: RecordingRef) -> Recording | RecordingError:
        for wait_s in waits_s:
            try:
                return _read(source, ref)
            except StoreUnreachableError as error:
                logger.warning("%s Trying again in %g s.", error, wait_s)
                if is_over.wait(wait_s):
                    raise
        return _read(source, ref)

    if all(Location.parse(ref.path).is_local for ref in refs[:1]):
        return map(read, refs)
    return read_ahead(
        read,
        refs,
        n_threads=_N_REMOTE_READS,
        n_ahead=2 * _N_REMOTE_READS,
        at_end=is_over.set,
    )


def _read(source: ReadsRecordings, ref: RecordingRef) -> Recording | RecordingError:
    try:
        return source.read(ref)
    except RecordingError as error:
        # Readers of formats turn whatever is raised into a reason: memory and disks are none.
        fault = machine_fault(error)
        if fault is not None:
            raise fault from error
        return error
