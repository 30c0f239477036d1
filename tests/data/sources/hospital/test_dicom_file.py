"""DICOM files that pydicom wrote, against the samples that went in."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources.hospital.dicom_file import DicomFolder
from tests.data.sources.hospital.read_one import read_one, reason_of
from tests.hospital_files import dicom_group, write_dicom
from tests.hospital_xml import twelve
from tests.tiny_datasets import N_SAMPLES, RATE_HZ, SIGNAL_MV

GENERAL, AMBULATORY = "1.2.840.10008.5.1.4.1.1.9.1.2", "1.2.840.10008.5.1.4.1.1.9.1.3"


def channels(group: Any) -> Any:
    return group.ChannelDefinitionSequence


@pytest.mark.parametrize("kind", [GENERAL, AMBULATORY])
def test_samples_of_any_ecg_are_those_that_were_written(tmp_path: Path, kind: str) -> None:
    file = write_dicom(tmp_path / "IM000001", [dicom_group(twelve())], SOPClassUID=kind)
    found = read_one("dicom", file)
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)
    assert (found.leads, found.sampling_rate_hz) == (LEADS, RATE_HZ)
    assert (found.age, found.sex, found.codes, found.fold) == (51.0, "female", (), None)


def test_the_export_of_a_real_recorder_is_what_pydicom_says_of_it(tmp_path: Path) -> None:
    import pydicom
    from pydicom.data import get_testdata_file

    export = get_testdata_file("waveform_ecg.dcm", download=False)
    assert isinstance(export, str)
    file = Path(shutil.copy(export, tmp_path))
    found = read_one("dicom", file)
    theirs = pydicom.dcmread(file).waveform_array(0)
    assert (found.leads, found.sampling_rate_hz) == (LEADS, 1000)
    np.testing.assert_allclose(found.signal_mv, theirs.T / 1000, rtol=1e-6)
    one, two, three, right = found.signal_mv[:4]
    np.testing.assert_allclose(three, two - one, atol=1e-6)
    np.testing.assert_allclose(right, -(one + two) / 2, atol=1.25e-3)  # a step of its converter


@pytest.mark.parametrize(("unit", "step_uv"), [("uV", 2.5), ("mV", 0.0025), ("V", 2.5e-6)])
def test_every_unit_and_number_of_a_channel_counts(
    tmp_path: Path, unit: str, step_uv: float
) -> None:
    group = dicom_group(twelve(), unit=unit, step_uv=step_uv * 1000 if unit == "mV" else 2.5)
    for channel in channels(group):
        # Half the sensitivity, twice the correction, and an offset of ten steps.
        channel.ChannelSensitivity = f"{step_uv / 2:.9g}"
        channel.ChannelSensitivityCorrectionFactor = 2
        channel.ChannelBaseline = f"{10 * step_uv:.9g}"
    found = read_one("dicom", write_dicom(tmp_path / "a.dcm", [group]))
    stored = np.rint(SIGNAL_MV * 1000 / 2.5)
    np.testing.assert_allclose(found.signal_mv, (stored + 10) * 2.5e-3, rtol=1e-5)


@pytest.mark.parametrize(
    ("bits", "kind", "dtype"),
    [(8, "SB", "<i1"), (8, "UB", "<u1"), (16, "US", "<u2"), (32, "SL", "<i4"), (32, "UL", "<u4")],
)
def test_samples_may_be_of_any_whole_number(
    tmp_path: Path, bits: int, kind: str, dtype: str
) -> None:
    raw = np.random.default_rng(1).integers(0, 100, size=(N_SAMPLES, 12)).astype(dtype)
    group = dicom_group(twelve(), WaveformBitsAllocated=bits, WaveformSampleInterpretation=kind)
    group.WaveformData = raw.tobytes()
    group["WaveformData"].VR = "OB" if bits == 8 else "OW"
    for channel in channels(group):
        channel.WaveformBitsStored = bits
    found = read_one("dicom", write_dicom(tmp_path / "a.dcm", [group]))
    np.testing.assert_allclose(found.signal_mv, raw.T / 1000, rtol=1e-6)


def test_leads_are_known_by_code_meaning_or_label_whatever_their_order(tmp_path: Path) -> None:
    group = dicom_group(dict(reversed(twelve().items())))
    for number, channel in enumerate(channels(group)):
        code = channel.ChannelSourceSequence[0]
        if number % 3 == 0:
            code.CodeMeaning = "Ableitung"
        elif number % 3 == 1:
            code.CodeValue, code.CodingSchemeDesignator = "L-1", "99LOCAL"
        else:
            channel.ChannelLabel = code.CodeMeaning
            del channel.ChannelSourceSequence
    found = read_one("dicom", write_dicom(tmp_path / "a.dcm", [group]))
    assert found.leads == LEADS
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)


def test_the_rhythm_is_read_and_no_median_beat(tmp_path: Path) -> None:
    beat = {lead: each[:60] for lead, each in twelve().items()}
    longer = {lead: np.tile(each, 3) for lead, each in beat.items()}
    groups = [
        dicom_group(longer, WaveformOriginality="DERIVED"),
        dicom_group(longer, MultiplexGroupLabel="MEDIAN BEAT"),
        dicom_group({"II": np.tile(twelve()["II"], 5)}),
        dicom_group(twelve()),
    ]
    found = read_one("dicom", write_dicom(tmp_path / "a.dcm", groups))
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)
    assert reason_of("dicom", write_dicom(tmp_path / "a.dcm", groups[:2])) == "derived"


def test_leads_of_different_times_are_not_put_together(tmp_path: Path) -> None:
    signals = list(twelve().items())
    groups = [dicom_group(dict(signals[at : at + 3])) for at in (0, 3, 6, 9)]
    assert reason_of("dicom", write_dicom(tmp_path / "a.dcm", groups)) == "leads_apart"


def test_a_skew_shifts_a_lead_and_all_are_cut_to_their_common_time(tmp_path: Path) -> None:
    group = dicom_group(twelve())
    channels(group)[1].ChannelTimeSkew = "0.03"
    channels(group)[2].ChannelTimeSkew = "0.001"  # of a converter that takes them in turn
    found = read_one("dicom", write_dicom(tmp_path / "a.dcm", [group])).signal_mv
    np.testing.assert_allclose(found[0], SIGNAL_MV[0, 3:], atol=1e-6)
    np.testing.assert_allclose(found[1], SIGNAL_MV[1, :-3], atol=1e-6)
    np.testing.assert_allclose(found[2], SIGNAL_MV[2, 3:], atol=1e-6)


def test_a_channel_that_is_off_is_no_lead_and_one_that_is_not_calibrated_is_told(
    tmp_path: Path,
) -> None:
    group = dicom_group(twelve())
    channels(group)[0].ChannelStatus = "DISCONNECTED"
    channels(group)[1].ChannelStatus = ["OK", "UNCALIBRATED"]
    found = read_one("dicom", write_dicom(tmp_path / "a.dcm", [group]))
    assert found.leads == LEADS[1:]
    assert found.uncalibrated_leads == ("II",)


def _twice(group: Any) -> None:
    channels(group)[1].ChannelSourceSequence = channels(group)[0].ChannelSourceSequence


def _two_names(group: Any) -> None:
    channels(group)[1].ChannelSourceSequence[0].CodeMeaning = "Lead V6"


def _of_channel(name: str, value: object) -> Any:
    def harm(group: Any) -> None:
        if value is None:
            delattr(channels(group)[4], name)
        else:
            setattr(channels(group)[4], name, value)

    return harm


def _of_group(name: str, value: object) -> Any:
    return lambda group: setattr(group, name, value)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (_twice, "header_mismatch"),
        (_two_names, "header_mismatch"),
        (_of_channel("ChannelSensitivity", None), "uncalibrated"),
        (_of_channel("ChannelSensitivity", 0), "uncalibrated"),
        (_of_channel("ChannelSensitivityUnitsSequence", None), "wrong_units"),
        (_of_channel("WaveformBitsStored", 8), "header_mismatch"),
        (_of_channel("ChannelTimeSkew", 100), "header_mismatch"),
        (_of_group("SamplingFrequency", 0), "rate"),
        (_of_group("NumberOfWaveformSamples", 2**31), "truncated"),
        (_of_group("NumberOfWaveformSamples", 299), "header_mismatch"),
        (_of_group("NumberOfWaveformChannels", 11), "header_mismatch"),
        (_of_group("WaveformBitsAllocated", 24), "unsupported"),
        (_of_group("WaveformSampleInterpretation", "MB"), "unsupported"),
        (_of_group("WaveformPaddingValue", np.int16(100).tobytes()), "nan"),
        (_of_group("ChannelDefinitionSequence", []), "header_mismatch"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_reason(
    tmp_path: Path, harm: Any, reason: str
) -> None:
    signals = twelve()
    signals["V1"] = signals["V1"].copy()
    signals["V1"][7] = 0.1  # the padding of one case
    group = dicom_group(signals)
    harm(group)
    assert reason_of("dicom", write_dicom(tmp_path / "a.dcm", [group])) == reason


def test_dicom_of_another_kind_is_refused(tmp_path: Path) -> None:
    assert reason_of("dicom", write_dicom(tmp_path / "a.dcm", [])) == "no_waveform"
    (tmp_path / "a.dcm").write_bytes(b"\x89PNG" + bytes(500))
    assert reason_of("dicom", tmp_path / "a.dcm") == "unreadable"
    volts = dicom_group(twelve(), unit="mm[Hg]")
    assert reason_of("dicom", write_dicom(tmp_path / "a.dcm", [volts])) == "wrong_units"


def test_a_file_that_may_inflate_to_anything_is_not_inflated(tmp_path: Path) -> None:
    import pydicom
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    dataset = pydicom.dcmread(write_dicom(tmp_path / "a.dcm"))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "a.dcm")
    assert reason_of("dicom", tmp_path / "a.dcm") == "unsupported"


@pytest.mark.parametrize(
    ("name", "is_taken"),
    [
        ("a.dcm", True), ("A.DCM", True), ("IM000001", True), ("1.2.840.10008.5", True),
        ("DICOMDIR", False), ("labels.csv", False), ("report.pdf", False), ("a.b.xml", False),
    ],
)  # fmt: skip
def test_files_are_known_by_their_names(name: str, is_taken: bool) -> None:
    assert DicomFolder(location="x").takes(name) == is_taken
