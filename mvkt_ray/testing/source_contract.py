"""The contract suite of sources of recordings, for built-ins and plug-ins."""

import pickle
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS, Recording, RecordingRef
from mvkt_ray.data.sources.source import Source
from mvkt_ray.data.tasks import Task

_MOST_BYTES = 4000
"""Largest size of a pickled source with three references, which each task of an ingest receives."""


class SourceContract:
    """Contract of a source; subclass it, and override `source`.

    The source must have a few recordings, all of them readable.

    class TestNpyFolder(SourceContract):
        @pytest.fixture
        def source(self, tmp_path):
            ...  # write some files
            return open_source("npy_folder", str(tmp_path), {})
    """

    sampling_rate_hz = 100
    """Requested sampling rate of recordings."""

    @pytest.fixture
    def source(self) -> Source:
        """Return the source."""
        raise NotImplementedError("override the fixture source")

    def test_recordings_are_in_mv_with_canonical_leads_in_order(self, source: Source) -> None:
        """Signals are float32 `[n_leads, n_samples]` and finite."""
        found = self._read(source)
        assert found, "the source lists no recordings"
        for recording in found:
            order = [LEADS.index(lead) for lead in recording.leads]
            assert order, f"{recording.record_id} has no leads"
            assert order == sorted(set(order)), f"leads are out of order: {recording.leads}"
            assert recording.signal_mv.shape[0] == len(order)
            assert recording.signal_mv.shape[1] > 0
            assert recording.signal_mv.dtype == np.float32
            assert np.isfinite(recording.signal_mv).all()
            assert np.abs(recording.signal_mv).max() < 100, "is this in mV?"
            assert recording.sampling_rate_hz > 0

    def test_recordings_say_whose_they_are(self, source: Source) -> None:
        """Ids are unique; each recording has a patient, as splits are by patient."""
        found = self._read(source)
        assert len({recording.record_id for recording in found}) == len(found)
        for recording in found:
            assert recording.source.split("/")[0] == source.name
            assert recording.patient_id, f"{recording.record_id} names no patient"
            assert recording.age is None or 0 <= recording.age <= 120
            assert recording.sex in ("female", "male", None)
            assert recording.fold is None or source.has_folds

    def test_every_code_is_there_once_with_a_likelihood_and_known_to_a_task(
        self, source: Source
    ) -> None:
        """A source without tasks of its own would need a user's task in every study."""
        tasks = source.tasks()
        assert tasks, "the source offers no task"
        assert all(name == task.name and isinstance(task, Task) for name, task in tasks.items())
        for recording in self._read(source):
            codes = recording.codes
            assert len(set(codes)) == len(codes) == len(recording.likelihoods)
            assert all(0 <= likelihood <= 100 for likelihood in recording.likelihoods)
        codes = [recording.codes for recording in self._read(source)]
        assert any(task.labels(codes).any() for task in tasks.values()), "no task knows a code"

    def test_source_and_references_travel_to_other_processes(self, source: Source) -> None:
        """Pickled, they are small, and read the same recordings."""
        refs = list(islice(source.references(self.sampling_rate_hz), 3))
        parcel = pickle.dumps((source, refs))
        assert len(parcel) < _MOST_BYTES, f"source and references are {len(parcel)} bytes"
        elsewhere, copies = pickle.loads(parcel)
        for ref, copy in zip(refs, copies, strict=True):
            assert copy == ref
            one, two = source.read(ref), elsewhere.read(copy)
            np.testing.assert_array_equal(one.signal_mv, two.signal_mv)
            assert (one.record_id, one.codes, one.fold) == (two.record_id, two.codes, two.fold)

    def test_listing_is_lazy_stable_and_repeatable(self, source: Source) -> None:
        """A resumed ingest needs the same list."""
        refs = source.references(self.sampling_rate_hz)
        assert isinstance(refs, Iterator), "references are a list: yield them"
        first = [ref.record_id for ref in refs]
        again = source.references(self.sampling_rate_hz)
        assert [ref.record_id for ref in islice(again, 2)] == first[:2]
        assert all(
            isinstance(ref, RecordingRef) for ref in source.references(self.sampling_rate_hz)
        )

    def test_what_it_does_not_list_is_counted(self, source: Source) -> None:
        """No recording is dropped silently."""
        assert source.not_listed(self.sampling_rate_hz).n_records >= 0

    def _read(self, source: Source) -> list[Recording]:
        return [source.read(ref) for ref in source.references(self.sampling_rate_hz)]
