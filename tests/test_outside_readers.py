"""Whatever bytes come from outside: a reader returns a value or raises an error of mvkt-ray's.

The longer version is `python -m benchmarks.lying_files --fuzz SECONDS`.
"""

import io
import random
import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.sources.hospital.signal_tables import read_array
from mvkt_ray.errors import ArtifactError, ConfigError, DataError, RecordingError
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest
from tests.hospital_xml import PERSON
from tests.outside_readers import READERS, mutated
from tests.tiny_datasets import N_SAMPLES

N_CASES = 40
NAMES = PERSON[:2]
"""Of the person whom hospitals' files are full of; a message is kept in quarantine."""
MOST_BYTES = 64 << 20


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    file = reader.make(tmp_path)
    whole = file.read_bytes()
    assert reader.read(file) is not None
    messages: list[str] = []
    tracemalloc.start()
    try:
        for number in range(N_CASES):
            file.write_bytes(mutated(whole, random.Random(f"{name} {number}")))
            try:
                reader.read(file)
            except (ConfigError, DataError) as error:  # a MachineError would blame the memory
                messages.append(str(error))
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    assert [each for each in messages if any(name in each for name in NAMES)] == []


def test_an_array_that_claims_more_than_is_there_reserves_nothing(tmp_path: Path) -> None:
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (1, 10**12)}
    np.lib.format.write_array_header_1_0(stream, header)
    path = tmp_path / "a.npy"
    path.write_bytes(stream.getvalue() + bytes(80))
    with pytest.raises(
        RecordingError, match="states 8,000,000,000,000 bytes of values, but there are 80"
    ):
        read_array(Location.parse(path), ("II",))


@pytest.mark.parametrize(
    ("name", "stated", "claimed"),
    [
        ("header", f" {N_SAMPLES}\n".encode(), b" 1000000000000\n"),
        ("header", b"r1 12 ", b"r1 1000000000000 "),
        ("EDF", b"", b"99999999"),
        ("BDF", b"", b"99999999"),
    ],
)
def test_a_header_that_claims_more_than_is_there_takes_no_memory(
    name: str, stated: bytes, claimed: bytes, tmp_path: Path
) -> None:
    file = READERS[name].make(tmp_path)
    whole = file.read_bytes()
    at = whole.index(stated) if stated else 236  # EDF's number of data records
    file.write_bytes(whole[:at] + claimed + whole[at + len(stated or claimed) :])
    own_bytes = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (own_bytes + MOST_BYTES, before[1]))
    try:
        with pytest.raises(RecordingError):
            READERS[name].read(file)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/../../x", ""])
def test_a_manifest_names_no_file_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    file = READERS["manifest"].make(tmp_path)
    whole = read_manifest(file.parent)
    files = {name: whole.files["a.bin"]}
    file.write_bytes(Manifest(kind="shards", config={}, inputs={}, files=files).to_json())
    with pytest.raises(ArtifactError, match="not below its folder"):
        read_manifest(file.parent)
