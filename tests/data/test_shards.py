"""What is written can be read: by us without copying, and by others as plain Arrow."""

import glob
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvkt_ray.data.describe import describe_shards
from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.shard_columns import MV_PER_BIT, labels_of
from mvkt_ray.data.shard_file import ShardFile
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import ArtifactError, ConfigError, DataError
from mvkt_ray.storage.artifacts import verify_artifact

MakeShards = Callable[..., Shards]
N_RECORDINGS = 23
LENGTHS = [30 + number % 7 for number in range(N_RECORDINGS)]


@pytest.fixture(scope="module")
def shards(
    tmp_path_factory: pytest.TempPathFactory, ingested: MakeShards, make_recording: Callable
) -> Shards:
    recordings = [make_recording(number, n_samples=n) for number, n in enumerate(LENGTHS)]
    return ingested(tmp_path_factory.mktemp("data") / "shards", recordings, rows_per_shard=10)


def test_what_is_written_is_read_bit_by_bit(shards: Shards, make_recording: Callable) -> None:
    for row in range(N_RECORDINGS):
        original = make_recording(row, n_samples=LENGTHS[row])
        shard, inside = (int(value[0]) for value in shards.locate(np.array([row])))
        for lead in LEADS:
            column = shards.lead(lead)
            begin, end = column.offsets[shard][inside : inside + 2]
            expected = np.rint(original.signal_mv[LEADS.index(lead)].astype(float) * 1000)
            np.testing.assert_array_equal(column.values[shard][begin:end], expected)
        again = shards.recording(row)
        np.testing.assert_allclose(again.signal_mv, original.signal_mv, atol=1e-6)
        for name in ("record_id", "patient_id", "fold", "codes", "likelihoods", "source", "age"):
            assert getattr(again, name) == getattr(original, name)


def test_columns_are_numpy_arrays_over_all_shards(shards: Shards) -> None:
    assert shards.row_starts.tolist() == [0, 10, 20, 23]
    assert shards.n_recordings == N_RECORDINGS
    assert shards.record_ids().tolist() == [f"r{number:03d}" for number in range(N_RECORDINGS)]
    assert shards.patient_ids()[3] == "p003"
    assert shards.folds().tolist() == [number % 4 + 1 for number in range(N_RECORDINGS)]
    assert shards.n_samples().tolist() == LENGTHS
    assert shards.column("age").null_count == N_RECORDINGS
    assert shards.column("codes")[2].as_py() == ["x"]
    assert shards.column("likelihoods")[2].as_py() == [100.0]
    assert shards.lead("V6").lengths().tolist() == LENGTHS


def test_a_lead_is_a_view_of_the_mapped_file_and_not_a_copy(
    tmp_path: Path, ingested: MakeShards, make_recording: Callable
) -> None:
    ingested(tmp_path / "s", [make_recording(number, n_samples=5000) for number in range(8)])
    shards = open_shards(tmp_path / "s")
    shards.record_ids()
    before = pa.total_allocated_bytes()
    values = shards.lead("V2").values[0]
    n_bytes = values.nbytes
    assert n_bytes == 8 * 5000 * 2
    assert pa.total_allocated_bytes() - before < n_bytes / 100
    assert not values.flags.writeable
    assert not values.flags.owndata
    path = shards.location.local_path / "recordings" / "shard-00000.arrow"
    assert _is_mapped(values.ctypes.data, path)
    assert str(path) not in {os.readlink(link) for link in _open_files()}


def _open_files() -> list[str]:
    return [link for link in glob.glob("/proc/self/fd/*") if os.path.exists(link)]


def _is_mapped(address: int, path: Path) -> bool:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("only Linux says which addresses belong to which file")
    for line in maps.read_text().splitlines():
        begin, end = (int(part, 16) for part in line.split()[0].split("-"))
        if begin <= address < end:
            return line.endswith(str(path))
    return False


def test_a_shard_is_one_record_batch_and_leads_carry_their_scale(shards: Shards) -> None:
    path = shards.location.local_path / "recordings" / "shard-00001.arrow"
    with pa.memory_map(str(path)) as source:
        reader = pa.ipc.open_file(source)
        assert reader.num_record_batches == 1
        field = reader.schema.field("aVR")
        assert field.type == pa.list_(pa.int16())
        assert field.metadata == {b"unit": b"mV", b"mv_per_bit": b"0.001"}
        assert reader.schema.metadata[b"sampling_rate_hz"] == b"100"


def test_the_recordings_are_a_plain_arrow_dataset(shards: Shards) -> None:
    folder = shards.location.local_path
    for dataset in (
        ds.dataset(folder / "recordings", format="ipc"),
        ds.dataset(sorted((folder / "recordings").glob("*.arrow")), format="ipc"),
        ds.dataset(folder, format="ipc", exclude_invalid_files=True),
    ):
        assert dataset.count_rows() == N_RECORDINGS
        table = dataset.to_table(columns=["record_id", "II"], filter=ds.field("fold") == 2)
        assert table["record_id"].to_pylist() == [f"r{n:03d}" for n in range(1, N_RECORDINGS, 4)]
    frame = pd.read_feather(folder / "recordings" / "shard-00002.arrow")
    assert frame["n_samples"].tolist() == LENGTHS[20:]
    assert frame["V1"].map(len).tolist() == LENGTHS[20:]


def test_zstd_shards_are_smaller_and_read_the_same(
    tmp_path: Path, ingested: MakeShards, make_recording: Callable
) -> None:
    slow = np.tile(np.round(np.sin(np.arange(400) / 20), 2), (12, 1))
    recordings = [make_recording(number, signal_mv=slow) for number in range(5)]
    plain = ingested(tmp_path / "plain", recordings)
    cold = ingested(tmp_path / "cold", recordings, compression="zstd")
    name = "recordings/shard-00000.arrow"
    assert cold.manifest.files[name].size_bytes < plain.manifest.files[name].size_bytes / 2
    np.testing.assert_array_equal(cold.lead("I").values[0], plain.lead("I").values[0])


def test_labels_are_those_of_the_task(shards: Shards) -> None:
    task = shards.tasks["ab"]
    np.testing.assert_array_equal(
        shards.labels(task), task.labels(shards.column("codes").to_pylist())
    )


CODES = st.lists(st.sampled_from(["a", "b", "c", "x", "unknown"]), unique=True, max_size=4)


@settings(max_examples=50)
@given(st.lists(CODES, min_size=1, max_size=12), st.sampled_from([0.0, 50.0, 100.0]), st.data())
def test_labels_from_columns_equal_labels_row_by_row(
    codes: list[list[str]], min_likelihood: float, data: st.DataObject
) -> None:
    one = st.sampled_from([0.0, 15.0, 50.0, 100.0])
    likelihoods = [[data.draw(one) for _ in row] for row in codes]
    task = Task.of_classes("t", {"A": ["a", "x"], "B": ["b", "x"], "C": ["c"]})
    found = labels_of(
        pa.array(codes, pa.list_(pa.string())),
        pa.array(likelihoods, pa.list_(pa.float32())),
        task,
        min_likelihood,
    )
    np.testing.assert_array_equal(found, task.labels(codes, likelihoods, min_likelihood))


@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, N_RECORDINGS - 1), min_size=1, max_size=30))
def test_locate_finds_the_row_again(shards: Shards, rows: list[int]) -> None:
    shard, inside = shards.locate(np.array(rows))
    np.testing.assert_array_equal(shards.row_starts[shard] + inside, rows)
    assert (inside < np.diff(shards.row_starts)[shard]).all()


@given(st.lists(st.integers(0, N_RECORDINGS - 1), max_size=30))
def test_the_sums_are_those_of_the_values_of_all_leads(shards: Shards, rows: list[int]) -> None:
    bits = [np.rint(shards.recording(row).signal_mv.ravel() / MV_PER_BIT) for row in rows]
    values = np.concatenate([np.empty(0), *bits]).astype(np.int64)
    expected = (len(values), int(values.sum()), int((values**2).sum()))
    assert shards.sums(np.array(rows, dtype=np.int64)) == expected
    assert open_shards(shards.location, leads=["I"]).sums(np.array(rows, dtype=int)) == expected


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40))
def test_sums_of_very_many_values_are_exact(shards: Shards, values: list[int]) -> None:
    batch = pa.record_batch([pa.array(values, pa.int64())] * 3, ["a", "b", "c"])
    with mock.patch.object(Shards, "batches", return_value=[(slice(0, len(values)), batch)]):
        assert shards.sums(np.arange(len(values))) == (sum(values),) * 3


def test_a_recording_that_lacks_leads_is_summed_over_those_it_has(
    tmp_path: Path, ingested: MakeShards
) -> None:
    signal_mv = np.array([[0.001, 0.002, -0.003], [0.0, 0.01, 0.0]], dtype=np.float32)
    recording = Recording(
        record_id="r",
        patient_id="p",
        source="made_up",
        signal_mv=signal_mv,
        sampling_rate_hz=100.0,
        leads=("I", "V2"),
        codes=("NORM",),
        likelihoods=(100.0,),
    )
    shards = ingested(tmp_path / "s", [recording], missing_leads="keep")
    assert shards.sums(np.array([0])) == (6, 10, 1 + 4 + 9 + 100)


def test_a_lead_that_the_shards_lack_is_named_with_those_there_are(shards: Shards) -> None:
    with pytest.raises(DataError, match=r"no lead 'V7'.*I, II, III, aVR.*V6"):
        open_shards(shards.location, leads=["II", "V7"])
    with pytest.raises(DataError, match=r"did you mean 'aVR'"):
        shards.lead("AVR")


def test_opening_with_fewer_leads_shows_only_these(shards: Shards) -> None:
    few = open_shards(shards.location, leads=["V5", "I"])
    assert few.leads == ("I", "V5")
    assert few.fingerprint == shards.fingerprint
    with pytest.raises(DataError, match="no lead 'II'"):
        few.lead("II")


def test_a_shard_that_was_edited_is_refused(
    tmp_path: Path, ingested: MakeShards, make_recording: Callable
) -> None:
    shards = ingested(tmp_path / "s", [make_recording(number) for number in range(5)])
    path = tmp_path / "s" / "recordings" / "shard-00000.arrow"
    content = bytearray(path.read_bytes())
    begin = shards.lead("I").values[0].tobytes()
    content[content.find(begin)] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ArtifactError, match=r"shard-00000.arrow has hash"):
        verify_artifact(tmp_path / "s")
    path.write_bytes(bytes(content[:-8]))
    with pytest.raises(ArtifactError, match=r"changed after it was published.*shard-00000"):
        open_shards(tmp_path / "s")
    path.unlink()
    with pytest.raises(ArtifactError, match=r"shard-00000.arrow is missing"):
        open_shards(tmp_path / "s")


def test_a_folder_without_manifest_is_no_shard_set(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"no manifest.json"):
        open_shards(tmp_path)


def test_a_task_is_found_by_name_or_by_file(shards: Shards, tmp_path: Path) -> None:
    assert shards.task("ab").classes == ("A", "B")
    with pytest.raises(ConfigError, match=r"no task 'abb'; did you mean 'ab'"):
        shards.task("abb")
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\nclasses:\n  Z: [a]\n")
    assert shards.task(str(mine)).classes == ("Z",)
    mine.write_text("name: mine\nclasses:\n  Z: [a, aa]\n")
    with pytest.raises(ConfigError, match="'aa'"):
        shards.task(str(mine))


def test_a_recording_is_found_by_its_id(shards: Shards) -> None:
    assert shards.row_of("r017") == 17
    with pytest.raises(DataError, match=r"no recording 'r999'.*'r000'"):
        shards.row_of("r999")


def test_the_description_adds_up(shards: Shards) -> None:
    described = describe_shards(shards)
    assert described["recordings"] == N_RECORDINGS
    assert described["patients"] == N_RECORDINGS
    assert sum(described["folds"].values()) == N_RECORDINGS
    assert described["lengths"]["total_s"] == pytest.approx(sum(LENGTHS) / 100)
    assert described["source_rates_hz"] == {"100": N_RECORDINGS}
    task = described["tasks"]["ab"]
    assert task["classes"] == {"A": 15, "B": 15}
    by_fold = pd.DataFrame(task["by_fold"]).sum(axis=1).to_dict()
    assert by_fold == task["classes"]
    assert described["codes"] == {"a": 8, "b": 8, "x": 7}
    assert pickle.loads(pickle.dumps(described)) == described


def test_a_file_of_several_batches_is_no_shard(tmp_path: Path) -> None:
    path = tmp_path / "x.arrow"
    batch = pa.record_batch({"record_id": ["a"]})
    with pa.ipc.new_file(str(path), batch.schema) as writer:
        writer.write_batch(batch)
        writer.write_batch(batch)
    with pytest.raises(ArtifactError, match="2 record batches"):
        ShardFile(path).column("record_id")
