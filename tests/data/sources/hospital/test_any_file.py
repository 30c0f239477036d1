"""A file of any format is told by its name, and XML by its root."""

import sys
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources.hospital.any_file import EXPORT_SUFFIXES, read_export
from mvkt_ray.errors import ConfigError, RecordingError
from tests.hospital_files import write_dicom, write_edf
from tests.hospital_xml import aecg_text, muse_lead, muse_text, muse_waveform, twelve, write_xml
from tests.tiny_datasets import SIGNAL_MV


def muse() -> str:
    leads = "".join(muse_lead(lead, each, step_uv=1) for lead, each in twelve().items())
    return muse_text(muse_waveform(leads))


def test_every_format_is_read(tmp_path: Path) -> None:
    files = [
        write_dicom(tmp_path / "a.DCM"), write_edf(tmp_path / "a.edf"),
        write_edf(tmp_path / "a.bdf"), write_xml(tmp_path / "a.xml", aecg_text()),
        write_xml(tmp_path / "b.xml", muse()),
        write_xml(tmp_path / "c.xml", muse().replace("ISO-8859-1", "UTF-16")),
    ]  # fmt: skip
    for file in files:
        found = read_export(str(file))
        assert found.leads == LEADS
        np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)


@pytest.mark.parametrize("suffix", EXPORT_SUFFIXES)
def test_what_is_none_of_them_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with pytest.raises(RecordingError, match="there is no file"):
        read_export(str(path))
    path.write_text("<html/>")
    with pytest.raises(RecordingError) as caught:
        read_export(str(path))
    assert caught.value.reason == "unreadable"


def test_a_reader_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(ConfigError, match=r"mvkt-ray\[dicom\]"):
        read_export(str(write_edf(tmp_path / "a.edf").rename(tmp_path / "a.dcm")))
