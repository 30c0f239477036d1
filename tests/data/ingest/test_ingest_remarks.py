"""What an ingest says of records left out, of patients without a name, and of other spellings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.data_config import FoldsConfig
from mvkt_ray.data.describe import describe_shards
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources import open_source
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.errors import DataError
from tests.tiny_datasets import HEADER_LEADS, write_record

Make = Callable[..., Any]


def ingest_table(folder: Path, table: str) -> Shards:
    for number in range(1, 7):
        write_record(folder / "data", f"r{number}", HEADER_LEADS)
    (folder / "data" / "labels.csv").write_text(table)
    ingest(open_source("wfdb", str(folder / "data"), {}), str(folder / "shards"))
    return open_shards(folder / "shards")


def test_every_record_on_disk_is_used_in_quarantine_or_named_as_not_listed(tmp_path: Path) -> None:
    shards = ingest_table(tmp_path, "record,codes\nr1,X\nr2,X\n./r3,X\nghost,X\n")
    said = describe_shards(shards)
    assert (said["recordings"], said["quarantined"], said["not_listed"]) == (3, 1, 3)
    assert shards.manifest.details["examples_of_records_not_listed"] == ["r4", "r5", "r6"]
    assert any("3 records lie in the folder" in remark for remark in said["remarks"])


def test_spellings_of_a_patient_share_a_fold_and_are_said(tmp_path: Path) -> None:
    shards = ingest_table(
        tmp_path,
        "record,codes,patient_id\nr1,X,12\nr2,X,12.0\nr3,X, 012\nr4,X,P7\nr5,x,p7\nr6,Y,nan\n",
    )
    said = describe_shards(shards)
    fold_of = dict(zip(shards.record_ids(), shards.folds().tolist(), strict=True))
    assert fold_of["r1"] == fold_of["r2"] == fold_of["r3"]
    assert fold_of["r4"] == fold_of["r5"]
    assert (said["patients"], said["patients_in_several_spellings"]) == (3, 2)
    assert said["without_patient"] == 1
    assert (said["without_age"], said["without_sex"]) == (6, 6)
    assert len(set(shards.patient_ids())) == 3
    text = "\n".join(said["remarks"])
    assert "2 patients are written in several ways" in text
    assert "for example 'X' (4) and 'x' (1)" in text
    assert "no patient is named for 1 of 6 recordings" in text


def test_a_patient_in_two_folds_by_two_spellings_is_refused(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number) for number in range(1, 9)]
    recordings += [make_recording(20, fold=1, patient_id="Q1")]
    recordings += [make_recording(21, fold=3, patient_id="q1 ")]
    shards = ingested(tmp_path / "s", recordings)
    assert shards.manifest.counts["n_patients_in_several_folds"] == 1
    folds = FoldsConfig(train=(1, 2), val=(3,), test=(4,))
    with pytest.raises(DataError, match=r"'Q1' \(written 'Q1' and 'q1 '\) is in the folds 1, 3"):
        open_training_splits(shards, shards.tasks["ab"], folds)


def test_recordings_in_a_fold_of_no_split_are_counted(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(n, fold=(n % 4 + 1 if n < 8 else None)) for n in range(12)]
    shards = ingested(tmp_path / "s", recordings)
    splits = open_training_splits(
        shards, shards.tasks["ab"], FoldsConfig(train=(1,), val=(2,), test=(3,))
    )
    assert splits.n_in_no_split == 6


def test_nothing_is_said_where_all_is_well(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    shards = ingested(tmp_path / "s", [make_recording(number) for number in range(8)])
    assert describe_shards(shards)["remarks"] == []


def test_a_code_that_belongs_to_no_class_is_said(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    shards = ingested(
        tmp_path / "s", [make_recording(n, codes=("a" if n else "new",)) for n in range(4)]
    )
    [remark] = describe_shards(shards)["remarks"]
    assert remark.startswith("1 label code belongs to no class of a task of list, most often 'new'")


def test_a_recording_is_found_by_another_spelling_of_its_id(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(n, record_id=name) for n, name in enumerate(["a/r1", "7", "8"])]
    shards = ingested(tmp_path / "s", recordings)
    assert [shards.row_of(name) for name in ("./a/r1.hea", "7.0", "8")] == [0, 1, 2]
