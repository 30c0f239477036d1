"""Readers of bytes from outside, each with a file that it reads, for tests that damage the file."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from mvkt_ray.config.study_file import read_study
from mvkt_ray.data.recording import RecordingRef
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.sources.cpsc2018 import Cpsc2018
from mvkt_ray.data.sources.hospital.signal_tables import read_array, read_table
from mvkt_ray.data.sources.wfdb_record import read_wfdb
from mvkt_ray.data.tasks import read_task
from mvkt_ray.storage.artifacts import publish, read_manifest
from mvkt_ray.storage.csv_table import open_table
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions, sealed_arrow
from tests import hospital_files
from tests.tiny_datasets import HEADER_LEADS, SIGNAL_MV, write_record

TOKENS = (
    *(b"1000000000000", b"-1", b"1e309", b"nan", b"0", b"../../x", b"/etc/passwd", b"<script>"),
    *(b"\x00" * 8, b"\xff" * 8, b"\r", b"\n", b'"', b"%s", b"[", b"{", b"&a", b"*a", b"!!python/x"),
)
"""What lies more often than chance."""


@dataclass(frozen=True, slots=True)
class OutsideReader:
    """Makes a file, and reads it."""

    make: Callable[[Path], Path]
    """Given a folder; returns the file that is then damaged."""
    read: Callable[[Path], object]
    """Given the file; raises nothing but an error of mvkt-ray's."""


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Change a few places of a file: bits, blocks, tokens, an end that is missing."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        match rng.randrange(5):
            case 0 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at : at + rng.randrange(9)] = rng.choice(TOKENS)
            case 2:
                changed[at : at + rng.randrange(64)] = b""
            case 3:
                changed[at:at] = changed[at : at + rng.randrange(64)]
            case _:
                del changed[rng.randrange(at + 1) :]
    return bytes(changed)


def _header(folder: Path) -> Path:
    write_record(folder, "r1", HEADER_LEADS)
    return folder / "r1.hea"


def _samples(folder: Path) -> Path:
    return _header(folder).with_suffix(".dat")


def _struct(folder: Path) -> Path:
    path = folder / "A0001.mat"
    struct = {"sex": "Male", "age": 51.0, "data": SIGNAL_MV}
    scipy.io.savemat(path, {"ECG": struct}, do_compression=True)
    return path


def _read_struct(path: Path) -> object:
    ref = RecordingRef(source="c", record_id="A", path=str(path), metadata={"labels": "1"})
    return Cpsc2018(location="").read(ref)


def _text(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_text(text)
        return path

    return make


def _array(folder: Path) -> Path:
    np.save(folder / "a.npy", SIGNAL_MV[:1].astype(np.float32))
    return folder / "a.npy"


def _manifest(folder: Path) -> Path:
    artifact = Location.parse(folder / "artifact")
    made = folder / "artifact.partial"
    made.mkdir()
    (made / "a.bin").write_bytes(b"content")
    publish(artifact, kind="shards", config={"rate": 100}, inputs={}, command="mvkt ingest")
    return folder / "artifact" / "manifest.json"


def _predictions(folder: Path) -> Path:
    import pyarrow as pa

    columns = {
        "record_id": pa.array(["a", "b"]),
        "patient_id": pa.array(["p", "q"]),
        "probabilities": pa.FixedSizeListArray.from_arrays(pa.array([0.5, 0.25], pa.float32()), 1),
        "labels": pa.FixedSizeListArray.from_arrays(pa.array([0, 1], pa.int8()), 1),
    }
    table = pa.table(columns).replace_schema_metadata({"classes": '["AF"]'})
    (folder / "test.arrow").write_bytes(sealed_arrow(table))
    return folder / "test.arrow"


def _read_rows(path: Path) -> object:
    return list(open_table(Location.parse(path), ("record", "age"), "the table").rows)


_STUDY = "name: x\nseed: 3\ndata: {source: synthetic, folds: {train: [1], val: [2], test: [3]}}\n"
_TASK = "name: t\nclasses:\n  AF: ['164889003']\n  MI: [a, b]\n"


def _hospital(name: str, file: str) -> OutsideReader:
    """Return the reader of a hospital's format, given a file of it by its name."""
    options = hospital_files.OPTIONS.get(name, {})

    def make(folder: Path) -> Path:
        hospital_files.MAKE[name](folder)
        return folder / file

    def read(path: Path) -> object:
        source = open_source(name, str(path.parent), options)
        [ref] = [ref for ref in source.references(100) if ref.path == str(path)]
        return source.read(ref)

    return OutsideReader(make, read)


READERS: Mapping[str, OutsideReader] = {
    "header": OutsideReader(_header, lambda path: read_wfdb(str(path.with_suffix("")))),
    "samples": OutsideReader(_samples, lambda path: read_wfdb(str(path.with_suffix("")))),
    "struct": OutsideReader(_struct, _read_struct),
    "table of signals": OutsideReader(
        _text("t.csv", "II,V1\n0.1,0.2\n0.3,0.4\n"),
        lambda p: read_table(Location.parse(p), ("II",)),
    ),
    "array": OutsideReader(_array, lambda path: read_array(Location.parse(path), ("II",))),
    "table": OutsideReader(_text("t.csv", "record,age\nr1,51\nr2,52\n"), _read_rows),
    "study": OutsideReader(_text("s.yaml", _STUDY), read_study),
    "task": OutsideReader(_text("t.yaml", _TASK), read_task),
    "manifest": OutsideReader(_manifest, lambda path: read_manifest(path.parent)),
    "predictions": OutsideReader(_predictions, lambda path: read_predictions(Location.parse(path))),
    "DICOM": _hospital("dicom", "r1.dcm"),
    "EDF": _hospital("edf", "r1.edf"),
    "BDF": _hospital("edf", "r2.bdf"),
    "aECG": _hospital("aecg", "r1.xml"),
    "MUSE": _hospital("muse", "r1.xml"),
    "recording as CSV": _hospital("table", "r1.csv"),
    "recording as Parquet": _hospital("table", "r2.parquet"),
    "recording as array": _hospital("table", "r3.npy"),
}
