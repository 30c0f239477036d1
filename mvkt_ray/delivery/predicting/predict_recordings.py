"""Predicts recordings in order, in batches of windows that may span recordings.

The probability of a recording is the maximum over its windows, as in training and examination.

Shapes: W windows, C classes.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.data.ingest.reading import read_recordings
from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.delivery.predicting.found_records import Found, NotFound
from mvkt_ray.delivery.predicting.graph_session import GraphSession
from mvkt_ray.delivery.predicting.model_file import ModelFile
from mvkt_ray.delivery.predicting.prepared_signal import PreparedSignal, SignalPreparation
from mvkt_ray.delivery.predicting.recording_reader import RecordingReader
from mvkt_ray.errors import RecordingError
from mvkt_ray.storage.location import Location

WINDOWS_PER_BATCH = 64
"""On one thread a window takes as long in small as in large batches, which need more memory."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Predicted:
    """Prediction for one recording."""

    record: str
    probabilities_C: NDArray[np.float32]
    """Maximum over the windows."""
    signal: PreparedSignal
    """Input of the model."""
    window_probabilities_WC: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A recording without a prediction, and the reason."""

    record: str
    reason: str
    """Reason in a word, as in quarantine."""
    message: str


Answer = Predicted | Refused


class _Pending:
    """A recording with windows that wait for a batch, `n_cut` on, or a result, `n_scored` on."""

    def __init__(self, record: str, signal: PreparedSignal, n_classes: int) -> None:
        self.record, self.signal = record, signal
        self.scores_WC = np.empty((signal.n_windows, n_classes), np.float32)
        self.n_cut = self.n_scored = 0

    @property
    def is_done(self) -> bool:
        return self.n_scored == self.signal.n_windows

    def answer(self) -> Answer:
        if not np.isfinite(self.scores_WC).all():
            message = f"the model gives recording {self.record} a probability that is not a number"
            return Refused(record=self.record, reason="not_finite", message=message)
        return Predicted(
            record=self.record,
            probabilities_C=self.scores_WC.max(axis=0),
            signal=self.signal,
            window_probabilities_WC=self.scores_WC,
        )


def predict_recordings(
    model: ModelFile,
    session: GraphSession,
    records: Sequence[Found],
    reader: RecordingReader,
    *,
    windows_per_batch: int = WINDOWS_PER_BATCH,
) -> Iterator[Answer]:
    """Yield the prediction or refusal of each recording in the given order.

    Raises:
        ArtifactError: The model's rounding of recordings differs from this version's.
        MachineError: The machine fails, which is not the recording's fault.
        StoreError: An object store is unavailable, or denies access.
    """
    preparation = SignalPreparation(model)
    waiting: deque[_Pending | Refused] = deque()
    n_waiting = 0
    for opened in _prepared(records, reader, preparation):
        if isinstance(opened, Refused):
            waiting.append(opened)
        else:
            record, signal = opened
            waiting.append(_Pending(record, signal, len(model.classes)))
            n_waiting += signal.n_windows
        while n_waiting >= windows_per_batch:
            n_waiting -= _run_batch(model, session, waiting, windows_per_batch)
        yield from _finished(waiting)
    while n_waiting:
        n_waiting -= _run_batch(model, session, waiting, windows_per_batch)
    yield from _finished(waiting)


def _prepared(
    records: Sequence[Found], reader: RecordingReader, preparation: SignalPreparation
) -> Iterator[Refused | tuple[str, PreparedSignal]]:
    for name, recording in _read(records, reader):
        try:
            if isinstance(recording, RecordingError):
                raise recording
            yield name, preparation.prepare(recording)
        except RecordingError as error:
            yield Refused(record=name, reason=error.reason, message=str(error))


def _read(
    records: Sequence[Found], reader: RecordingReader
) -> Iterator[tuple[str, Recording | RecordingError]]:
    """Yield name and recording, or error, in order; objects in a store are read concurrently."""
    for is_local, group in groupby(records, _is_local):
        members = list(group)
        refs = [each for each in members if isinstance(each, RecordingRef)]
        if is_local is None:
            yield from ((each.record, each.error) for each in members if isinstance(each, NotFound))
        else:
            names = [ref.record_id for ref in refs]
            yield from zip(names, read_recordings(reader, refs), strict=True)


def _is_local(found: Found) -> bool | None:
    """Return whether a recording is in a local file system; None for no recording."""
    return None if isinstance(found, NotFound) else Location(found.path).is_local


def _run_batch(
    model: ModelFile,
    session: GraphSession,
    waiting: Iterable[_Pending | Refused],
    most: int,
) -> int:
    """Predict the first waiting windows, at most `most`; return their number."""
    parts: list[tuple[_Pending, NDArray[np.float32]]] = []
    room = most
    for each in waiting:
        if isinstance(each, Refused) or each.n_cut == each.signal.n_windows:
            continue
        last = min(each.n_cut + room, each.signal.n_windows)
        parts.append((each, each.signal.windows(each.n_cut, last, model.window_samples)))
        room -= last - each.n_cut
        each.n_cut = last
        if not room:
            break
    scores_WC = session.probabilities(np.concatenate([windows for _, windows in parts]))
    for each, windows in parts:
        scored, scores_WC = scores_WC[: len(windows)], scores_WC[len(windows) :]
        each.scores_WC[each.n_scored : each.n_scored + len(scored)] = scored
        each.n_scored += len(scored)
    return most - room


def _finished(waiting: deque[_Pending | Refused]) -> Iterator[Answer]:
    while waiting:
        first = waiting[0]
        if isinstance(first, _Pending) and not first.is_done:
            return
        waiting.popleft()
        yield first if isinstance(first, Refused) else first.answer()
