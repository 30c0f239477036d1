"""WFDB records of every form that header(5) allows, and with one character changed.

The truth is made by `tests/wfdb_oracle.py`, which shares no code with what is tested.
"""

import contextlib
import re
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources.file_signal import FileSignal
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.errors import RecordingError
from tests.wfdb_oracle import MV_PER_UNIT, Record, Signal, read

GAINS = ("1000(0)", "200", "1e3", "0.5(-7)", "-250.(12)", "0", "0(3)")
ENDS = ("\n", "\r\n", "\r")
RATES = {"500": 500.0, "500.": 500.0, "5e2": 500.0, "360/250(-1.5)": 360.0, "128/0": 128.0}
TIMES = ("", " 10:00:00", " 10:00:00 31/02/2020", " 2020-01-14 noon", " 0:0 00/00/0000")
COMMENTS = ("#Age: 51", "  # Müller", "# 患者", "#")


@st.composite
def records(draw: st.DrawFn) -> tuple[Record, float, dict[str, np.ndarray]]:
    """Draw a record with its rate and its leads in mV."""
    names = draw(st.permutations([*LEADS, "RESP"]))[: draw(st.integers(1, 13))]
    samples, n_frames = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    offset = draw(st.sampled_from([0, 24]))
    n_files = draw(st.integers(1, min(3, len(names))))
    formats = [draw(st.sampled_from([16, 212])) for _ in range(n_files)]
    checksum = draw(st.sampled_from(["signed", "unsigned", "zero"]))
    zero = draw(st.integers(-9, 9))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    signals: list[Signal] = []
    expected: dict[str, np.ndarray] = {}
    for position, name in enumerate(names):
        file = position * n_files // len(names)
        limit = 2000 if formats[file] == 212 else 30_000
        digital = rng.integers(-limit, limit, n_frames * samples)
        gain = draw(st.sampled_from(GAINS))
        unit = draw(st.sampled_from(["", *MV_PER_UNIT]))
        signals.append(
            Signal(
                name=draw(st.sampled_from([name, name.upper(), name.lower()])),
                digital=digital.tolist(),
                file=f"sub{file}.x",
                fmt=formats[file],
                modifiers=f"x{samples}" * (samples > 1) + f"+{offset}" * (offset > 0),
                gain=f"{gain}/{unit}" if unit else gain,
                adc_zero=zero,
                checksum=checksum,
            )
        )
        stated, _, baseline = gain.rstrip(")").partition("(")
        per_unit = float(stated) or 200.0
        scale = MV_PER_UNIT[unit or "mV"]
        expected[name] = (digital - (int(baseline) if baseline else zero)) / per_unit * scale
    rate = draw(st.sampled_from(sorted(RATES)))
    length = draw(st.sampled_from(["", " 0", f" {n_frames}"]))
    if any(fmt == 212 for fmt in formats):
        # Padding of packed formats leaves the length open.
        length = f" {n_frames}"
    time = draw(st.sampled_from(TIMES)) if length else ""
    record = Record(
        signals=signals,
        record_line=f"r {len(names)} {rate}{length}{time}",
        samples_per_frame=samples,
        preamble=b"\x7f" * offset,
        comments=draw(st.lists(st.sampled_from(COMMENTS), max_size=3)),
    )
    expected.pop("RESP", None)
    return record, RATES[rate] * samples, expected


@given(
    drawn=records(),
    end=st.sampled_from(ENDS),
    mark=st.sampled_from(["", "\ufeff"]),
    blank=st.sampled_from([" ", "\t", "  \t "]),
    encoding=st.sampled_from(["utf-8", "latin-1"]),
)
@settings(max_examples=100)
def test_whatever_header_5_allows_gives_exactly_these_mv(
    drawn: tuple[Record, float, dict[str, np.ndarray]],
    end: str,
    mark: str,
    blank: str,
    encoding: str,
) -> None:
    record, rate_hz, expected = drawn
    text = record.header().replace("\n", end).replace(" ", blank)
    if encoding == "utf-8":
        content = (mark + text + end).encode()
    else:
        content = text.replace("\u03bc", "\xb5").encode("latin-1", errors="replace")
    with tempfile.TemporaryDirectory() as folder:
        path = record.write(Path(folder), header=content)
        if not expected:
            with pytest.raises(RecordingError) as caught:
                read_wfdb(str(path))
            assert caught.value.reason == "missing_lead"
            return
        signal = read_wfdb(str(path))
    assert signal.sampling_rate_hz == rate_hz
    assert signal.leads == tuple(lead for lead in LEADS if lead in expected)
    for lead, found in zip(signal.leads, signal.signal_mv, strict=True):
        np.testing.assert_array_equal(found, expected[lead].astype(np.float32))
    gains = {each.name.lower(): str(each.gain) for each in record.signals}
    without = {name for name, gain in gains.items() if re.match(r"0(?![.\d])", gain)}
    assert {lead.lower() for lead in signal.uncalibrated_leads} == without - {"resp"}


def sample_record() -> Record:
    """Three leads of which two share a file, with checksums that are all different from 0."""
    wave = [round(900 * np.sin(n / 3) + 40 * n) for n in range(24)]
    return Record(
        record_line="r 3 500/250(1) 12 10:00:00 1/2/2003",
        signals=[
            Signal(name="I", digital=wave, modifiers="x2", gain="1000(5)/mV"),
            Signal(name="V1", digital=[n * 7 for n in wave], modifiers="x2", gain="200/uV"),
            Signal(
                name="aVF", digital=wave[::-1], file="q.dat", fmt=212, modifiers="x2", gain="50"
            ),
        ],
        samples_per_frame=2,
    )


HEADER = sample_record().header()
CHARACTERS = "0123456789 \t\n#~+-:./()xeEIVmuv,\xb5\xe9"


@given(
    at=st.integers(0, len(HEADER) - 1),
    character=st.sampled_from(["", *CHARACTERS]),
    inserted=st.booleans(),
)
@settings(max_examples=250)
def test_one_character_changed_is_refused_or_means_what_header_5_says(
    at: int, character: str, inserted: bool
) -> None:
    text = HEADER[:at] + character + HEADER[at if inserted else at + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        path = sample_record().write(Path(folder), header=text.encode())
        truth = read(path, LEADS)
        signal = read_or_none(path)
    assert (signal is None) == (truth is None), text
    if signal is not None and truth is not None:
        assert_same(signal, *truth)


def read_or_none(path: Path) -> FileSignal | None:
    with contextlib.suppress(RecordingError):
        return read_wfdb(str(path))
    return None


def assert_same(signal: FileSignal, rate_hz: float, leads: dict[str, np.ndarray]) -> None:
    assert signal.sampling_rate_hz == rate_hz
    by_lower_name = {name.lower(): values for name, values in leads.items()}
    assert {lead.lower() for lead in signal.leads} == set(by_lower_name)
    for lead, found in zip(signal.leads, signal.signal_mv, strict=True):
        np.testing.assert_array_equal(found, by_lower_name[lead.lower()].astype(np.float32))


def test_the_oracle_reads_what_it_writes(tmp_path: Path) -> None:
    """Without this, a changed header might be refused by both for no reason."""
    path = sample_record().write(tmp_path)
    truth = read(path, LEADS)
    assert truth is not None
    assert truth[0] == 1000
    for signal, (baseline, gain, unit) in zip(
        sample_record().signals, [(5, 1000, 1), (0, 200, 1e-3), (0, 50, 1)], strict=True
    ):
        wanted = (np.array(signal.digital) - baseline) / gain * unit
        np.testing.assert_array_equal(truth[1][signal.name], wanted)
    assert_same(read_wfdb(str(path)), *truth)
