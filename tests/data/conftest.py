"""Small datasets on disk, in the layouts of the real ones, with synthetic signals."""

import csv
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.recording import LEADS, Recording, RecordingRef
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.sources.record_files import NotListed
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.wfdb_format.wfdb_formats import wfdb  # there its warnings on import are silenced

WriteRecord = Callable[..., Path]

_STATEMENTS = """\
,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass,Statement Category
NORM,normal ECG,1.0,,,NORM,NORM,Normal/abnormal
IMI,inferior myocardial infarction,1.0,,,MI,IMI,Myocardial Infarction
AMI,anterior myocardial infarction,1.0,,,MI,AMI,Myocardial Infarction
CLBBB,complete left bundle branch block,1.0,,,CD,CLBBB,Conduction
CRBBB,complete right bundle branch block,1.0,,,CD,CRBBB,Conduction
1AVB,first degree AV block,1.0,,,CD,_AVB,Conduction
LVH,left ventricular hypertrophy,1.0,,,HYP,LVH,Hypertrophy
ISCAL,ischemic in anterolateral leads,1.0,,,STTC,ISCA,Ischemia
NDT,non-diagnostic T abnormalities,1.0,1.0,,STTC,STTC,ST-T
SR,sinus rhythm,,,1.0,,,Rhythm
AFIB,atrial fibrillation,,,1.0,,,Rhythm
"""


def _write_record(
    folder: Path,
    name: str,
    signal_mv: np.ndarray,
    sampling_rate_hz: float,
    *,
    leads: Sequence[str] = LEADS,
    units: str = "mV",
    gain: float = 1000.0,
    comments: Sequence[str] = (),
) -> Path:
    """Write one WFDB record, 16 bit, with wfdb itself; returns its path without extension."""
    folder.mkdir(parents=True, exist_ok=True)
    n_leads = len(leads)
    digital = np.round(np.asarray(signal_mv, dtype=np.float64).T * gain)
    with warnings.catch_warnings():
        # As on import: wfdb 4.3.1 uses what pandas 3 deprecates.
        warnings.filterwarnings("ignore", message="The inplace keyword")
        wfdb.wrsamp(
            name,
            fs=sampling_rate_hz,
            units=[units] * n_leads,
            sig_name=list(leads),
            d_signal=np.where(np.isfinite(digital), digital, -32768).astype(np.int64),
            fmt=["16"] * n_leads,
            adc_gain=[gain] * n_leads,
            baseline=[0] * n_leads,
            comments=list(comments),
            write_dir=str(folder),
        )
    return folder / name


@pytest.fixture(scope="session")
def write_record() -> WriteRecord:
    """Write a WFDB record: `write_record(folder, name, signal_mv, rate_hz, leads=..., ...)`."""
    return _write_record


@pytest.fixture(scope="session")
def synthetic_recording() -> Recording:
    """One recording of 10 s at 100 Hz."""
    source = open_source("synthetic", "", {"n_recordings": 1})
    return source.read(next(source.references(100)))


def _write_tiny_ptbxl(folder: Path, n_recordings: int = 40, n_at_500_hz: int = 3) -> Path:
    """Write PTB-XL's layout: ten folds, a patient with two recordings in some, upper-case leads."""
    n_patients = n_recordings * 9 // 10
    source = open_source(
        "synthetic", "", {"n_recordings": n_recordings, "n_patients": n_patients, "seed": 7}
    )
    leads = [lead.upper() for lead in LEADS]
    references = {100: list(source.references(100)), 500: list(source.references(500))}
    rows: list[dict[str, object]] = []
    for index in range(n_recordings):
        names = {100: f"{index + 1:05d}_lr", 500: f"{index + 1:05d}_hr"}
        recording = source.read(references[100][index])
        for rate_hz in (100, 500) if index < n_at_500_hz else (100,):
            signal_mv = source.read(references[rate_hz][index]).signal_mv
            subfolder = folder / f"records{rate_hz}" / "00000"
            _write_record(subfolder, names[rate_hz], signal_mv, rate_hz, leads=leads)
        patient = int(recording.patient_id.removeprefix("patient"))
        codes = dict.fromkeys(recording.codes, 100.0)
        if "AFIB" not in codes:
            codes["SR"] = 0.0
        rows.append(
            {
                "ecg_id": index + 1,
                "patient_id": f"{patient + 100}.0",
                "age": 300.0 if index == 0 else recording.age,
                "sex": int(recording.sex == "female"),
                "scp_codes": repr(codes),
                "strat_fold": patient % 10 + 1,
                "filename_lr": f"records100/00000/{names[100]}",
                "filename_hr": f"records500/00000/{names[500]}",
            }
        )
    with (folder / "ptbxl_database.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "scp_statements.csv").write_text(_STATEMENTS, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def write_tiny_ptbxl() -> Callable[..., Path]:
    """Write a tiny PTB-XL that a test may damage: `write_tiny_ptbxl(folder, n_recordings=...)`."""
    return _write_tiny_ptbxl


@pytest.fixture(scope="session")
def tiny_ptbxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny PTB-XL for reading only: 40 recordings at 100 Hz, the first 3 at 500 Hz too."""
    return _write_tiny_ptbxl(tmp_path_factory.mktemp("ptbxl"))


@dataclass(frozen=True, kw_only=True)
class ListSource:
    """A source whose recordings, good or bad, a test has made itself."""

    name: ClassVar[str] = "list"

    recordings: tuple[Recording, ...]
    has_folds: bool = True

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        for index, recording in enumerate(self.recordings):
            yield RecordingRef(
                source=self.name,
                record_id=recording.record_id,
                path=f"memory/{recording.record_id}",
                metadata={"index": index},
            )

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        return NotListed()

    def read(self, ref: RecordingRef) -> Recording:
        return self.recordings[int(str(ref.metadata["index"]))]

    def tasks(self) -> dict[str, Task]:
        return {"ab": Task.of_classes("ab", {"A": ["a", "x"], "B": ["b", "x"]})}


def _make_recording(
    number: int,
    *,
    n_samples: int = 40,
    n_leads: int = 12,
    rate_hz: float = 100.0,
    signal_mv: np.ndarray | None = None,
    **facts: Any,
) -> Recording:
    """Make a recording of whole microvolts, all different between leads and recordings."""
    if signal_mv is None:
        rng = np.random.default_rng(number)
        signal_mv = rng.integers(-3000, 3000, size=(n_leads, n_samples)) / 1000
    known = {
        "source": "list",
        "record_id": f"r{number:03d}",
        "patient_id": f"p{number:03d}",
        "leads": LEADS[: len(signal_mv)],
        "fold": number % 4 + 1,
        "codes": (("a",), ("b",), ("x",))[number % 3],
        "likelihoods": (100.0,),
    }
    return Recording(
        signal_mv=np.asarray(signal_mv, dtype=np.float32),
        sampling_rate_hz=rate_hz,
        **{**known, **facts},
    )


@pytest.fixture(scope="session")
def make_recording() -> Callable[..., Recording]:
    """Make a recording: `make_recording(number, n_samples=..., codes=..., fold=..., ...)`."""
    return _make_recording


@pytest.fixture(scope="session")
def list_source() -> Callable[..., ListSource]:
    """Make a source of given recordings: `list_source(recordings, has_folds=True)`."""

    def make(recordings: Sequence[Recording], *, has_folds: bool = True) -> ListSource:
        return ListSource(recordings=tuple(recordings), has_folds=has_folds)

    return make


@pytest.fixture(scope="session")
def ingested() -> Callable[..., Shards]:
    """Ingest and open recordings: `ingested(folder, recordings, has_folds=..., **settings)`."""

    def make(
        folder: Path, recordings: Sequence[Recording], *, has_folds: bool = True, **settings: Any
    ) -> Shards:
        source = ListSource(recordings=tuple(recordings), has_folds=has_folds)
        ingest(source, str(folder), IngestSettings(**settings))
        return open_shards(folder)

    return make
