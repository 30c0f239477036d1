"""Recordings of every kind, read for a model."""

from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS, RecordingRef
from mvkt_ray.delivery.predicting.found_records import find_records
from mvkt_ray.delivery.predicting.recording_reader import RecordingReader
from mvkt_ray.errors import RecordingError
from tests.hospital_files import write_dicom, write_edf
from tests.hospital_xml import aecg_text, write_xml
from tests.tiny_datasets import HEADER_LEADS, RATE_HZ, SIGNAL_MV, write_record

READER = RecordingReader(leads=("V5",), rate_hz=None)


def test_files_of_hospitals_and_wfdb_records_give_the_same(tmp_path: Path) -> None:
    write_record(tmp_path, "r1", HEADER_LEADS)
    write_dicom(tmp_path / "a.dcm")
    write_edf(tmp_path / "b.edf")
    write_xml(tmp_path / "c.xml", aecg_text())
    refs = find_records([str(tmp_path)])
    assert len(refs) == 4
    for ref in refs:
        assert isinstance(ref, RecordingRef)
        found = READER.read(ref)
        assert (found.leads, found.sampling_rate_hz) == (LEADS, RATE_HZ)
        np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)
        assert found.patient_id == found.record_id
        assert (found.age, found.sex) == (None, None)


def test_a_damaged_file_of_a_hospital_has_its_reason(tmp_path: Path) -> None:
    file = write_edf(tmp_path / "b.edf")
    file.write_bytes(file.read_bytes()[:-7])
    [ref] = find_records([str(file)])
    assert isinstance(ref, RecordingRef)
    with pytest.raises(RecordingError) as caught:
        READER.read(ref)
    assert caught.value.reason == "truncated"
