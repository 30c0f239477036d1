"""Unlabelled records come after a source's own, once each, and never as copies of them."""

from pathlib import Path

import numpy as np
import pytest

from mvkt_ray.config.data_config import FoldsConfig, LabelUse
from mvkt_ray.data.identity import header_patient, own_patient
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources import SOURCES, open_source
from mvkt_ray.data.sources.with_unlabelled import WithUnlabelled
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.errors import ConfigError, DataError
from tests import hospital_files
from tests.hospital_xml import PATIENT_ID
from tests.object_store import S3Server
from tests.tiny_datasets import (
    HEADER_LEADS,
    RATE_HZ,
    SIGNAL_MV,
    make_cinc2021,
    make_cpsc2018,
    make_ptbxl,
    make_wfdb,
    write_record,
)

MAKE = {
    "ptbxl": make_ptbxl,
    "cpsc2018": make_cpsc2018,
    "cinc2021": make_cinc2021,
    "wfdb": make_wfdb,
    "synthetic": lambda folder: folder.mkdir(),
    **hospital_files.MAKE,
}


def make_unlabelled(folder: Path) -> Path:
    for name in ("b/u2", "a/u1", "u3"):
        write_record(
            (folder / name).parent, Path(name).name, HEADER_LEADS, "#Age: 51\n#Dx: 426783006"
        )
    return folder


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_may_have_unlabelled_records_beside_it(name: str, tmp_path: Path) -> None:
    MAKE[name](tmp_path / "data")
    more = make_unlabelled(tmp_path / "more")
    options = hospital_files.OPTIONS.get(name, {})
    source = open_source(name, str(tmp_path / "data"), {**options, "unlabelled": str(more)})
    alone = open_source(name, str(tmp_path / "data"), options)
    assert source.name == name
    refs = list(source.references(RATE_HZ))
    n_own = len(list(alone.references(RATE_HZ)))
    assert [ref.record_id for ref in refs[n_own:]] == [
        "unlabelled/u3", "unlabelled/a/u1", "unlabelled/b/u2",
    ]  # fmt: skip
    assert refs[:n_own] == list(alone.references(RATE_HZ))
    assert source.tasks() == alone.tasks()
    assert source.has_folds == alone.has_folds
    recording = source.read(refs[-1])
    np.testing.assert_allclose(recording.signal_mv, SIGNAL_MV, atol=1e-6)
    assert recording.leads == LEADS
    assert (recording.codes, recording.fold, recording.age, recording.sex) == ((), None, None, None)
    assert len({source.read(ref).patient_id for ref in refs[n_own:]}) == 3


def test_files_of_hospitals_may_be_the_unlabelled_ones(tmp_path: Path) -> None:
    make_ptbxl(tmp_path / "data")
    more = make_unlabelled(tmp_path / "more")
    for folder in ("a", "b"):
        hospital_files.write_dicom(more / folder / "r.dcm")
    source = open_source("ptbxl", str(tmp_path / "data"), {"unlabelled": str(more)})
    refs = list(source.references(RATE_HZ))
    names = [f"unlabelled/{name}" for name in ("u3", "a/u1", "b/u2", "a/r.dcm", "b/r.dcm")]
    assert [ref.record_id for ref in refs[3:]] == names
    found = source.read(refs[-1])
    np.testing.assert_allclose(found.signal_mv, SIGNAL_MV, atol=1e-6)
    assert (found.codes, found.fold, found.age, found.sex) == ((), None, None, None)
    assert found.patient_id == own_patient("unlabelled/b/r.dcm")
    ingest(source, str(tmp_path / "shards"), IngestSettings())
    assert open_shards(tmp_path / "shards").n_recordings == len(refs)


def test_files_that_a_hospitals_table_does_not_list_are_the_unlabelled_ones(tmp_path: Path) -> None:
    hospital_files.MAKE["edf"](tmp_path)
    hospital_files.write_edf(tmp_path / "x" / "r1.edf")
    (tmp_path / "labels.csv").write_text("record,AF\nr1,1\nr2,0\nr3,0\n")
    source = open_source("edf", str(tmp_path), {"unlabelled": str(tmp_path)})
    whose = {source.read(ref).patient_id for ref in source.references(RATE_HZ)}
    assert whose == {header_patient(PATIENT_ID)}
    names = [ref.record_id for ref in source.references(RATE_HZ)]
    assert names == ["r1.edf", "r2.bdf", "r3.edf", "unlabelled/x/r1.edf"]
    assert source.not_listed(RATE_HZ).n_records == 0


def test_records_that_the_table_of_a_folder_does_not_list_are_its_unlabelled_ones(
    tmp_path: Path,
) -> None:
    make_wfdb(tmp_path)
    make_unlabelled(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    source = open_source("wfdb", str(tmp_path), {"unlabelled": str(tmp_path)})
    assert [ref.record_id for ref in source.references(RATE_HZ)] == [
        "r1", "r2", "r3", "unlabelled/u3", "unlabelled/a/u1", "unlabelled/b/u2",
    ]  # fmt: skip
    assert source.not_listed(RATE_HZ).n_records == 0


@pytest.mark.parametrize("where", [".", "records100", ".."])
def test_files_of_the_source_s_own_recordings_are_no_unlabelled_ones(
    tmp_path: Path, where: str
) -> None:
    make_ptbxl(tmp_path / "data")
    (tmp_path / "data" / "records100").mkdir(exist_ok=True)
    folder = str(tmp_path / "data" / where)
    source = open_source("ptbxl", str(tmp_path / "data"), {"unlabelled": folder})
    with pytest.raises(DataError, match=r"overlap.*separate folder"):
        list(source.references(RATE_HZ))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    make_wfdb(tmp_path / "data")
    source = open_source("wfdb", str(tmp_path / "data"), {"unlabelled": str(tmp_path / "none")})
    with pytest.raises(DataError, match=r"none' does not exist; it should hold recordings"):
        list(source.references(RATE_HZ))
    with pytest.raises(ConfigError, match=r"'unlabelled' .* must be text"):
        open_source("wfdb", str(tmp_path / "data"), {"unlabelled": 3})


def test_they_are_ingested_the_same_from_any_place_and_students_may_distil_over_them(
    tmp_path: Path, s3_server: S3Server
) -> None:
    fingerprints: set[str] = set()
    for place in ("one", "two"):
        root = tmp_path / place
        make_wfdb(root / "data")
        make_unlabelled(root / "more")
        source = open_source("wfdb", str(root / "data"), {"unlabelled": str(root / "more")})
        assert isinstance(source, WithUnlabelled)
        ingest(source, str(root / "shards"), IngestSettings(sampling_rate_hz=RATE_HZ))
        fingerprints.add(open_shards(root / "shards").fingerprint)
    bucket = s3_server.make_bucket("hospital") / "more"
    for path in (tmp_path / "one" / "more").rglob("*"):
        if path.is_file():
            (bucket / str(path.relative_to(tmp_path / "one" / "more"))).upload(path)
    beside = {"unlabelled": str(bucket)}
    source = open_source("wfdb", str(tmp_path / "one" / "data"), beside)
    ingest(source, str(tmp_path / "stored"), IngestSettings(sampling_rate_hz=RATE_HZ))
    fingerprints.add(open_shards(tmp_path / "stored").fingerprint)
    assert len(fingerprints) == 1

    shards = open_shards(tmp_path / "one" / "shards")
    folds = FoldsConfig(train=(1,), val=(2,), test=(3,))
    task = shards.tasks["all"]
    plain = open_training_splits(shards, task, folds)
    assert plain.train.record_ids.tolist() == ["r1"]
    assert plain.n_in_no_split == 3
    use = LabelUse(distils_unlabelled=True)
    splits = open_training_splits(shards, task, folds, 0.0, use)
    assert sorted(splits.train.record_ids) == [
        "r1", "unlabelled/a/u1", "unlabelled/b/u2", "unlabelled/u3",
    ]  # fmt: skip
    assert splits.train.labelled().record_ids.tolist() == ["r1"]
    assert splits.val.record_ids.tolist() == ["r2"]
    assert (splits.n_in_no_split, splits.n_test) == (0, 1)
