"""Reading one WFDB record: every way in which it can be wrong has its word."""

import errno
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.errors import RecordingError
from mvkt_ray.machine_faults import machine_fault

WriteRecord = Callable[..., Path]


@pytest.fixture
def record(tmp_path: Path, write_record: WriteRecord, synthetic_recording: Recording) -> Path:
    return write_record(tmp_path, "r1", synthetic_recording.signal_mv, 100, comments=["Age: 50"])


def reason_of(path: Path) -> str:
    with pytest.raises(RecordingError) as caught:
        read_wfdb(str(path))
    assert path.name in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason
    return caught.value.reason


def edit_header(path: Path, old: str, new: str) -> None:
    header = path.with_suffix(".hea")
    text = header.read_text()
    assert old in text
    header.write_text(text.replace(old, new))


def test_values_are_those_of_the_file_in_mv(record: Path) -> None:
    raw = np.fromfile(record.with_suffix(".dat"), dtype="<i2").reshape(-1, 12).T
    signal = read_wfdb(str(record))
    np.testing.assert_allclose(signal.signal_mv, raw / 1000, atol=1e-6)
    assert signal.signal_mv.dtype == np.float32
    assert signal.signal_mv.flags.c_contiguous
    assert signal.sampling_rate_hz == 100.0
    assert signal.comments == ("Age: 50",)


def test_leads_are_found_by_name_whatever_their_order_and_case(
    tmp_path: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    order = np.random.default_rng(0).permutation(12)
    names = [LEADS[i].upper() if i % 2 else LEADS[i].lower() for i in order]
    names.append("RESP")
    mixed = np.vstack([synthetic_recording.signal_mv[order], np.zeros((1, 1000))])
    path = write_record(tmp_path, "mixed", mixed, 100, leads=names)
    signal = read_wfdb(str(path))
    assert signal.leads == LEADS
    np.testing.assert_allclose(signal.signal_mv, synthetic_recording.signal_mv, atol=6e-4)


@pytest.mark.parametrize(("unit", "per_mv"), [("uV", 1e3), ("V", 1e-3), ("mv", 1.0)])
def test_stated_units_become_mv(
    tmp_path: Path,
    write_record: WriteRecord,
    synthetic_recording: Recording,
    unit: str,
    per_mv: float,
) -> None:
    wanted = synthetic_recording.signal_mv
    path = write_record(tmp_path, "u", wanted * per_mv, 100, units=unit, gain=1000 / per_mv)
    np.testing.assert_allclose(read_wfdb(str(path)).signal_mv, wanted, atol=6e-4)


def test_microvolts_with_a_greek_letter_are_not_volts(record: Path) -> None:
    header = record.with_suffix(".hea")
    before = read_wfdb(str(record)).signal_mv
    header.write_text(header.read_text().replace("/mV", "/\N{MICRO SIGN}V"), encoding="utf-8")
    np.testing.assert_allclose(read_wfdb(str(record)).signal_mv, before / 1000, rtol=1e-5)


def test_a_unit_that_is_no_voltage_is_wrong_units(record: Path) -> None:
    edit_header(record, "/mV", "/mmHg")
    assert reason_of(record) == "wrong_units"


@pytest.mark.parametrize("n_bytes", [0, 1, 24 * 999, 24 * 999 + 7, 24 * 1000 - 1])
def test_a_short_signal_file_is_truncated(record: Path, n_bytes: int) -> None:
    signal_file = record.with_suffix(".dat")
    signal_file.write_bytes(signal_file.read_bytes()[:n_bytes])
    assert reason_of(record) == "truncated"


def test_a_header_that_states_too_few_samples_is_a_mismatch(record: Path) -> None:
    edit_header(record, "r1 12 100 1000", "r1 12 100 900")
    assert reason_of(record) == "header_mismatch"


def test_a_header_that_states_far_too_many_samples_is_truncated(record: Path) -> None:
    edit_header(record, "r1 12 100 1000", "r1 12 100 1000000")
    assert reason_of(record) == "truncated"


@pytest.mark.parametrize("n_signals", [11, 13])
def test_a_header_that_lies_about_its_number_of_signals_is_a_mismatch(
    record: Path, n_signals: int
) -> None:
    edit_header(record, "r1 12 100", f"r1 {n_signals} 100")
    assert reason_of(record) == "header_mismatch"


def test_a_lead_named_twice_is_a_mismatch(record: Path) -> None:
    edit_header(record, " 0 V6", " 0 V5")
    assert reason_of(record) == "header_mismatch"


def test_a_record_that_lacks_a_lead_has_the_others(record: Path) -> None:
    whole = read_wfdb(str(record))
    edit_header(record, " 0 V3", " 0 CM5")
    signal = read_wfdb(str(record))
    assert signal.leads == tuple(lead for lead in LEADS if lead != "V3")
    np.testing.assert_array_equal(signal.signal_mv, np.delete(whole.signal_mv, 8, axis=0))


def test_a_record_without_any_of_the_twelve_leads_says_so(
    tmp_path: Path, write_record: WriteRecord
) -> None:
    path = write_record(tmp_path, "eeg", np.ones((2, 50)), 100, leads=["Fp1", "MLII"])
    assert reason_of(path) == "missing_lead"


def test_samples_marked_invalid_are_nan_and_counted(
    tmp_path: Path, write_record: WriteRecord, synthetic_recording: Recording
) -> None:
    signal_mv = synthetic_recording.signal_mv.copy()
    signal_mv[1, 10:15] = np.nan
    path = write_record(tmp_path, "gap", signal_mv, 100)
    assert -32768 in np.fromfile(path.with_suffix(".dat"), dtype="<i2")
    with pytest.raises(RecordingError, match="II 5 of 1000") as caught:
        read_wfdb(str(path))
    assert caught.value.reason == "nan"


@pytest.mark.parametrize("suffix", [".hea", ".dat"])
def test_a_missing_file_is_named(record: Path, suffix: str) -> None:
    record.with_suffix(suffix).unlink()
    with pytest.raises(RecordingError, match=f"r1{suffix}") as caught:
        read_wfdb(str(record))
    assert caught.value.reason == "missing_file"


@pytest.mark.parametrize("text", ["", "no header at all", "r1 12 100 1000\nr1.dat\n", "\0\1\2"])
def test_what_is_no_header_is_unreadable(record: Path, text: str) -> None:
    record.with_suffix(".hea").write_text(text)
    assert reason_of(record) == "unreadable"


def test_an_unknown_signal_format_is_unreadable(record: Path) -> None:
    edit_header(record, "r1.dat 16 ", "r1.dat 77 ")
    assert reason_of(record) == "unreadable"


def test_a_record_name_with_a_suffix_is_read_all_the_same(record: Path) -> None:
    before = read_wfdb(str(record)).signal_mv
    edit_header(record, "r1 12 100", "r1.mat 12 100")
    np.testing.assert_array_equal(read_wfdb(str(record)).signal_mv, before)


@pytest.mark.parametrize(
    ("problem", "is_the_machines"),
    [
        (OSError(errno.EIO, "Input/output error"), True),
        (MemoryError(), True),
        (OSError(errno.EISDIR, "Is a directory"), False),
    ],
)
def test_what_the_machine_cannot_do_is_no_fault_of_the_recording(
    record: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception, is_the_machines: bool
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr("numpy.fromfile", fail)
    with pytest.raises(RecordingError, match=str(record)) as caught:
        read_wfdb(str(record))
    assert (machine_fault(caught.value) is not None) == is_the_machines
