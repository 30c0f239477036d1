"""Whatever bytes come from outside: a reader returns a value or raises an error of mvkt-ray's.

The longer version is `python -m benchmarks.lying_files --fuzz SECONDS`.
"""

import io
import random
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.data.sources.hospital.signal_tables import read_array
from mvkt_ray.errors import ArtifactError, ConfigError, DataError, RecordingError
from mvkt_ray.storage.artifacts import Manifest, read_manifest
from mvkt_ray.storage.location import Location
from tests.hospital_xml import PERSON
from tests.outside_readers import READERS, mutated

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
    with pytest.raises(RecordingError, match="claims 8,000,000,000,000 bytes of values, and 80"):
        read_array(Location.parse(path), ("II",))


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "a/../../x", ""])
def test_a_manifest_names_no_file_outside_of_its_folder(name: str, tmp_path: Path) -> None:
    file = READERS["manifest"].make(tmp_path)
    whole = read_manifest(file.parent)
    files = {name: whole.files["a.bin"]}
    file.write_bytes(Manifest(kind="shards", config={}, inputs={}, files=files).to_json())
    with pytest.raises(ArtifactError, match="not below its folder"):
        read_manifest(file.parent)
