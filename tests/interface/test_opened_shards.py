"""Shards as numpy, torch, Arrow and Ray have them are the same recordings."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import mvkt_ray as mvkt
from mvkt_ray.data.shard_columns import MV_PER_BIT
from mvkt_ray.on_ray.connecting.cluster import connected


@pytest.fixture(scope="module")
def shards(shards_dir: Path) -> mvkt.ShardSet:
    return mvkt.open_shards(shards_dir)


def test_a_recording_by_id_by_row_and_from_the_end_is_one(shards: mvkt.ShardSet) -> None:
    last = shards[shards.record_ids[-1]]
    assert last.record_id == shards[len(shards) - 1].record_id == shards[-1].record_id
    assert last.signal_mv.shape == (12, 500)
    for lead in mvkt.LEADS:
        assert (last.lead_mv(lead.lower()) == last.signal_mv[mvkt.LEADS.index(lead)]).all()
    assert [each.record_id for each in shards] == shards.record_ids


def test_torch_arrow_and_the_table_agree_with_it(shards: mvkt.ShardSet) -> None:
    row, leads = 70, ["V5", "I"]
    recording = shards[row]
    example = shards.to_torch(leads=leads, task="synthetic")[row]
    assert example["record_id"] == recording.record_id
    expected = np.stack([recording.lead_mv(lead) for lead in leads])
    assert (example["signal_mv"].numpy() == expected).all()
    assert "labels" in example
    labels_NC = shards.labels("synthetic").to_numpy()
    assert example["labels"].numpy().tolist() == labels_NC[row].tolist()
    table = shards.to_pyarrow(leads=leads).to_table()
    bits = np.array(table["V5"][row].as_py(), np.int16) * np.float32(MV_PER_BIT)
    assert (bits == recording.lead_mv("V5")).all()
    assert "II" not in table.column_names
    assert table.schema.field("V5").metadata[b"unit"] == b"mV"
    known = shards.recordings.iloc[row]
    assert (known["record_id"], known["age"]) == (recording.record_id, recording.age)
    assert not set(mvkt.LEADS) & set(shards.recordings.columns)
    assert shards.quarantine.empty


def test_a_dataset_goes_to_another_process_without_its_files(shards: mvkt.ShardSet) -> None:
    dataset = shards.to_torch(leads=["II"])
    before = dataset[3]["signal_mv"]
    sent = pickle.dumps(dataset)
    assert len(sent) < 100_000
    assert torch.equal(pickle.loads(sent)[3]["signal_mv"], before)
    assert len(pickle.loads(sent)) == len(shards)
    with pytest.raises(IndexError):
        dataset[len(shards)]


def test_what_is_not_there_is_said(shards: mvkt.ShardSet, tmp_path: Path) -> None:
    with pytest.raises(mvkt.DataError, match="no recording 'HR1'"):
        shards["HR1"]
    with pytest.raises(
        mvkt.DataError, match=r"by its id \(a string\) or its row \(an integer\), got 1\.5"
    ):
        shards[1.5]  # pyright: ignore[reportArgumentType]
    with pytest.raises(IndexError):
        shards[len(shards)]
    with pytest.raises(mvkt.DataError, match="no lead 'V9'"):
        shards.to_torch(leads=["V9"])
    with pytest.raises(mvkt.DataError, match="has no lead 'V9'; it has I, II"):
        shards[0].lead_mv("V9")
    with pytest.raises(mvkt.ConfigError, match="no task 'synthetik'"):
        shards.labels("synthetik")
    with pytest.raises(mvkt.ArtifactError):
        mvkt.open_shards(tmp_path)


@pytest.mark.ray
# Ray sets what it has deprecated itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_ray_has_the_same_rows(shards: mvkt.ShardSet) -> None:
    with connected(None, n_cpus=1):
        dataset = shards.to_ray(leads=["V5"])
        assert dataset.count() == len(shards)
        rows = dataset.take_all()
    assert sorted(row["record_id"] for row in rows) == sorted(shards.record_ids)
    found = next(row for row in rows if row["record_id"] == shards.record_ids[70])
    bits = np.asarray(found["V5"], dtype=np.int16) * np.float32(MV_PER_BIT)
    assert (bits == shards[70].lead_mv("V5")).all()
