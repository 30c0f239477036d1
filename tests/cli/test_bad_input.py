"""Everything that a user may get wrong: one paragraph that helps, exit code 2, and nothing lost.

What is wrong with single recordings ends in quarantine instead; see the second half.
"""

import csv
import json
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.wfdb_format.wfdb_formats import wfdb
from mvkt_ray.storage.artifacts import publish
from mvkt_ray.storage.location import Location

WriteStudy = Callable[[Mapping[str, Any]], Path]
RATE_HZ = 100


def content_of(folder: Path) -> dict[Path, bytes | None]:
    """Everything in a folder, but the empty locks that writers leave."""
    paths = [path for path in folder.rglob("*") if path.suffix != ".lock"]
    return {path: path.read_bytes() if path.is_file() else None for path in paths}


@pytest.mark.parametrize("source", ["ptbxl", "cpsc2018", "cinc2021", "wfdb"])
def test_a_missing_folder(mvkt: Any, tmp_path: Path, source: str) -> None:
    done = mvkt("ingest", source, tmp_path / "nowhere", tmp_path / "out", "--in-process")
    done.expect_wrong_input("nowhere", "does not exist")
    assert list(content_of(tmp_path)) == []


def test_a_missing_folder_of_a_search(mvkt: Any, study_file: WriteStudy, tmp_path: Path) -> None:
    study = study_file({"data": {"source": "ptbxl", "task": "superdiagnostic"}})
    out = tmp_path / "out"
    line = ("search", study, "--data", tmp_path / "nowhere", "--out", out, "--in-process")
    mvkt(*line, "--dry-run").expect_wrong_input("nowhere", "does not exist")
    mvkt(*line).expect_wrong_input("nowhere", "does not exist")
    assert not out.exists()


def test_data_that_is_not_given(mvkt: Any, study_file: WriteStudy, tmp_path: Path) -> None:
    study = study_file({"data": {"source": "ptbxl"}})
    done = mvkt("search", study, "--out", tmp_path / "out", "--in-process")
    done.expect_wrong_input("--data is missing", "ptbxl")


def test_data_that_would_be_passed_over(mvkt: Any, home: Path, tmp_path: Path) -> None:
    line = ("search", home / "tiny.yaml", "--out", tmp_path / "out", "--in-process", "--dry-run")
    mvkt(*line, "--data", tmp_path / "nowhere").expect_wrong_input("nowhere", "leave --data out")
    mvkt(*line, "--data", "").expect_wrong_input("is empty", "shell variable")


def test_an_output_that_can_never_be_made(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("taken")
    before = content_of(tmp_path)
    study = home / "tiny.yaml"
    for out in (tmp_path / "file" / "out", tmp_path / ("n" * 300)):
        for line in (
            ("search", study, "--data", shards, "--out", out, "--in-process"),
            ("search", study, "--data", shards, "--out", out, "--in-process", "--dry-run"),
            ("train-teacher", study, "--data", shards, "--out", out, "--in-process"),
            ("ingest", "synthetic", "-", out, "--in-process"),
            ("cluster", "render", "slurm", "--study", study, "--out", out),
            ("download", "ptbxl", out, "--from", tmp_path),
        ):
            done = mvkt(*line)
            assert done.exit_code == 2, (line, done.stderr)
            assert "Traceback" not in done.stderr
    assert content_of(tmp_path) == before


def test_an_unknown_source_or_option_of_one(mvkt: Any, tmp_path: Path) -> None:
    line = ("ingest", "ptbx", tmp_path, tmp_path / "out", "--in-process")
    mvkt(*line).expect_wrong_input("'ptbx'", "ptbxl")
    line = ("ingest", "synthetic", "-", tmp_path / "out", "--in-process")
    mvkt(*line, "--option", "n_recording=5").expect_wrong_input("did you mean 'n_recordings'")
    mvkt(*line, "--option", "n_recordings=few").expect_wrong_input("'few'", "whole number")
    assert list(content_of(tmp_path)) == []


def test_default_folds_where_the_dataset_has_no_tenth(
    mvkt: Any, study_file: WriteStudy, tmp_path: Path
) -> None:
    shards = tmp_path / "shards"
    options = ("--option", "n_recordings=60", "--option", "duration_s=3", "--n-folds", 9)
    assert mvkt("ingest", "synthetic", "-", shards, "--in-process", *options).exit_code == 0
    folds = {"train": [1, 2, 3, 4, 5, 6, 7, 8], "val": [9], "test": [10]}
    study = study_file({"data": {"folds": folds}})
    line = ("search", study, "--data", shards, "--in-process", "--dry-run")
    done = mvkt(*line, "--out", tmp_path / "out")
    done.expect_wrong_input("the test split is empty", "fold 10", "--folds")
    again = mvkt(*line, "--out", tmp_path / "out", "--folds", "1-7/8/9")
    assert again.exit_code == 0, again.stderr


@pytest.mark.parametrize("folds", ["1-7/8", "1-7/8/8", "a/b/c", "1-7/8/9/10", "7-1/8/9"])
def test_folds_that_cannot_be_read(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path, folds: str
) -> None:
    line = ("search", home / "tiny.yaml", "--data", shards, "--in-process", "--dry-run")
    done = mvkt(*line, "--out", tmp_path / "out", "--folds", folds)
    done.expect_wrong_input(repr(folds), "1-7/8/9")


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"search": {"n_trails": 3}}, ["search.n_trails", "did you mean 'n_trials'"]),
        ({"spaces": {}}, ["spaces", "did you mean 'space'"]),
        ({"space": {"learning_rat": 0.1}}, ["'learning_rat'", "id you mean 'learning_rate'"]),
        (
            {"space": {"learning_rate": {"low": 0.1, "high": 0.001}}},
            ["space.learning_rate", "low=0.1", "high=0.001", "swap"],
        ),
        ({"space": {"kd_weight": {"low": 0.0, "high": 1.0, "log": True}}}, ["low must be > 0"]),
        ({"space": {"student": "resnet9000"}}, ["resnet9000"]),
        ({"search": {"n_trials": -1}}, ["n_trials must be >= 0, got -1"]),
        ({"search": {"n_trials": 0}}, ["n_trials is 0, but the baselines alone are 4"]),
        ({"data": {"task": "rhythms"}}, ["'rhythms'", "synthetic"]),
        ({"data": {"sampling_rate_hz": 500}}, ["500", "100", "--rate"]),
    ],
)
def test_a_study_file_with_a_mistake(
    mvkt: Any,
    study_file: WriteStudy,
    shards: Path,
    tmp_path: Path,
    changes: Mapping[str, Any],
    parts: list[str],
) -> None:
    study, out = study_file(changes), tmp_path / "out"
    done = mvkt("search", study, "--data", shards, "--out", out, "--in-process")
    done.expect_wrong_input(*parts)
    assert not (out / "ledger.db").exists()


@pytest.mark.parametrize("text", ["name: [", "- a\n- b\n", "name: x\nname: y\n"])
def test_a_study_file_that_is_no_study(mvkt: Any, shards: Path, tmp_path: Path, text: str) -> None:
    study = tmp_path / "broken.yaml"
    study.write_text(text)
    done = mvkt("search", study, "--data", shards, "--out", tmp_path / "out", "--in-process")
    done.expect_wrong_input("broken.yaml")


def test_a_study_file_that_is_not_there(mvkt: Any, tmp_path: Path) -> None:
    done = mvkt("search", tmp_path / "none.yaml", "--out", tmp_path / "out", "--in-process")
    done.expect_wrong_input("none.yaml", "search_spaces/")
    done = mvkt("search", "--out", tmp_path / "out", "--in-process")
    done.expect_wrong_input("STUDY.yaml is missing")


def test_a_lead_that_the_dataset_lacks(mvkt: Any, study_file: WriteStudy, tmp_path: Path) -> None:
    shards = tmp_path / "shards"
    options = ("--option", "n_recordings=40", "--option", "duration_s=3", "--leads", "I,II")
    assert mvkt("ingest", "synthetic", "-", shards, "--in-process", *options).exit_code == 0
    study = study_file({"search": {"leads": ["V1"]}})
    out = tmp_path / "out"
    done = mvkt("search", study, "--data", shards, "--out", out, "--in-process")
    done.expect_wrong_input("V1", "I, II")
    assert not out.exists()


def test_a_lead_that_is_misspelled(mvkt: Any, study_file: WriteStudy, tmp_path: Path) -> None:
    study = study_file({"search": {"leads": ["aVX"]}})
    done = mvkt("search", study, "--out", tmp_path / "out", "--in-process")
    done.expect_wrong_input("'aVX'", "aVR")


def test_more_gpus_than_there_are(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    study = study_file({"resources": {"trial": {"gpus_per_worker": 64}}})
    out = tmp_path / "out"
    line = ("search", study, "--data", shards, "--out", out, "--in-process")
    mvkt(*line, "--dry-run").expect_wrong_input("gpus_per_worker", "64")
    mvkt(*line).expect_wrong_input("gpus_per_worker", "64")
    assert not (out / "teacher").exists()


def test_in_process_on_a_cluster(mvkt: Any, home: Path, tmp_path: Path) -> None:
    line = ("search", home / "tiny.yaml", "--out", tmp_path / "out", "--in-process")
    mvkt(*line, "--address", "auto").expect_wrong_input("--in-process", "--address")


def edit(path: Path) -> None:
    """Change one byte in the middle of a file, and keep its size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_shard_that_was_edited(mvkt: Any, home: Path, shards: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "shards", tmp_path / "out"
    shutil.copytree(shards, copy)
    edit(copy / "recordings" / "shard-00001.arrow")
    name = "recordings/shard-00001.arrow has hash"
    mvkt("verify", copy).expect_wrong_input(name, "Make it again")
    line = ("search", home / "tiny.yaml", "--data", copy, "--out", out, "--in-process")
    mvkt(*line).expect_wrong_input(name)
    assert not (out / "teacher").exists()


def test_a_shard_that_is_missing(mvkt: Any, shards: Path, tmp_path: Path) -> None:
    copy = tmp_path / "shards"
    shutil.copytree(shards, copy)
    (copy / "recordings" / "shard-00000.arrow").unlink()
    mvkt("verify", copy).expect_wrong_input("shard-00000.arrow is missing")
    mvkt("inspect", copy).expect_wrong_input("shard-00000.arrow is missing")


def test_a_manifest_that_is_no_manifest(mvkt: Any, tmp_path: Path) -> None:
    for number, text in enumerate(["{", "[]", '{"kind": 3}', "null"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "manifest.json").write_text(text)
        mvkt("inspect", folder).expect_wrong_input("manifest")


def test_a_manifest_of_another_artifact(mvkt: Any, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / f"{name}.partial").mkdir()
        (tmp_path / f"{name}.partial" / "teacher.safetensors").write_text(name[:3])
        publish(Location.parse(tmp_path / name), kind="teacher", config={}, inputs={})
    shutil.copy(tmp_path / "other" / "manifest.json", tmp_path / "one" / "manifest.json")
    mvkt("inspect", tmp_path / "one").expect_wrong_input("changed after it was published")


def test_a_teacher_from_other_data(mvkt: Any, home: Path, study_dir: Path, tmp_path: Path) -> None:
    others, out = tmp_path / "others", tmp_path / "out"
    options = ("--option", "n_recordings=60", "--option", "duration_s=5", "--option", "seed=9")
    assert mvkt("ingest", "synthetic", "-", others, "--in-process", *options).exit_code == 0
    study, teacher = home / "tiny.yaml", study_dir / "teacher"
    before = content_of(teacher)
    line = ("--data", others, "--teacher", teacher, "--out", out)
    done = mvkt("search", study, *line, "--in-process")
    done.expect_wrong_input(str(teacher), "was made from shards", "or make it again")
    mvkt("cache", study, *line).expect_wrong_input("was made from shards")
    assert not (out / "ledger.db").exists()
    assert content_of(teacher) == before


def test_a_teacher_that_saw_the_validation_split(
    mvkt: Any, home: Path, shards: Path, study_dir: Path, tmp_path: Path
) -> None:
    line = ("--data", shards, "--teacher", study_dir / "teacher", "--out", tmp_path / "out")
    done = mvkt("search", home / "tiny.yaml", *line, "--in-process", "--folds", "7-9/1-6/10")
    done.expect_wrong_input("[1, 2, 3, 4, 5, 6]", "--teacher")


def test_an_artifact_of_another_kind(
    mvkt: Any, home: Path, study_dir: Path, tmp_path: Path
) -> None:
    line = ("--data", study_dir / "teacher", "--out", tmp_path / "out", "--in-process")
    done = mvkt("search", home / "tiny.yaml", *line)
    done.expect_wrong_input("is a teacher, not a shards")


def test_an_output_folder_in_use(
    mvkt: Any, home: Path, shards: Path, study_dir: Path, tmp_path: Path
) -> None:
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter1.tex").write_text("Hearts")
    before = content_of(tmp_path)
    study = home / "tiny.yaml"
    for line in (
        ("ingest", "synthetic", "-", thesis, "--in-process"),
        ("train-teacher", study, "--data", shards, "--out", thesis, "--in-process"),
        ("cache", study, "--data", shards, "--teacher", study_dir / "teacher", "--out", thesis),
        ("search", study, "--data", shards, "--out", thesis, "--in-process"),
        ("search", study, "--data", shards, "--out", thesis, "--in-process", "--resume"),
        ("demo", "--out", thesis, "--in-process"),
    ):
        mvkt(*line).expect_wrong_input(str(thesis), "chapter1.tex")
    assert content_of(tmp_path) == before


def test_a_study_in_the_output_folder(mvkt: Any, home: Path, shards: Path, study_dir: Path) -> None:
    before = content_of(study_dir)
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", study_dir, "--in-process")
    mvkt(*line).expect_wrong_input(str(study_dir), "--resume")
    assert content_of(study_dir) == before


def test_another_study_to_resume_with(
    mvkt: Any, study_file: WriteStudy, shards: Path, study_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    shutil.copytree(study_dir, out)
    before = (out / "study.yaml").read_bytes()
    study = study_file({"space": {"kd_weight": 3.0}})
    line = ("search", study, "--data", shards, "--out", out, "--in-process", "--resume")
    mvkt(*line).expect_wrong_input("another configuration", "kd_weight")
    assert (out / "study.yaml").read_bytes() == before
    assert mvkt("status", out, "--json").json["n_finished"] == 6


def write_record(folder: Path, name: str, signal_mv: np.ndarray, leads: tuple[str, ...]) -> None:
    with warnings.catch_warnings():
        # wfdb 4.3.1 uses what pandas 3 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        wfdb.wrsamp(
            name,
            fs=RATE_HZ,
            units=["mV"] * len(leads),
            sig_name=list(leads),
            p_signal=signal_mv,
            fmt=["16"] * len(leads),
            adc_gain=[1000.0] * len(leads),
            baseline=[0] * len(leads),
            write_dir=str(folder),
        )


@pytest.fixture
def wfdb_folder(tmp_path: Path) -> Path:
    """Twelve sound recordings of six patients in three folds, and a CSV file of labels."""
    folder = tmp_path / "records"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        write_record(folder, f"r{number:02d}", rng.normal(0, 0.3, (300, len(LEADS))), LEADS)
        patient = number // 2
        rows.append(
            {
                "record": f"r{number:02d}",
                "codes": "AF" if number % 4 < 2 else "NORM",
                "patient_id": f"p{patient}",
                "fold": patient % 3 + 1,
            }
        )
    write_labels(folder, rows)
    return folder


def write_labels(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["record", "codes", "patient_id", "fold"])
        writer.writeheader()
        writer.writerows(rows)


def read_labels(folder: Path) -> list[dict[str, Any]]:
    with (folder / "labels.csv").open(newline="") as file:
        return list(csv.DictReader(file))


WFDB_DATA = {
    "source": "wfdb",
    "task": "all",
    "folds": {"train": [1], "val": [2], "test": [3]},
}


def test_a_patient_in_two_folds(
    mvkt: Any, study_file: WriteStudy, wfdb_folder: Path, tmp_path: Path
) -> None:
    rows = read_labels(wfdb_folder)
    rows[0]["fold"], rows[1]["fold"] = 1, 2
    write_labels(wfdb_folder, rows)
    shards, out = tmp_path / "shards", tmp_path / "out"
    assert mvkt("ingest", "wfdb", wfdb_folder, shards, "--in-process").exit_code == 0
    line = ("search", study_file({"data": WFDB_DATA}), "--data", shards, "--out", out)
    done = mvkt(*line, "--in-process")
    done.expect_wrong_input("p0", "patient")
    assert not (out / "teacher").exists()


def test_labels_that_look_like_markup_or_control_a_terminal_are_shown_as_they_are(
    mvkt: Any, wfdb_folder: Path, tmp_path: Path
) -> None:
    names = {"AF": "AF [permanent]", "NORM": "[/old] :warning: \x1b[2J"}
    rows = [{**row, "codes": names[row["codes"]]} for row in read_labels(wfdb_folder)]
    write_labels(wfdb_folder, rows)
    shards = tmp_path / "shards [new]"
    assert mvkt("ingest", "wfdb", wfdb_folder, shards, "--in-process").exit_code == 0
    done = mvkt("inspect", shards)
    assert done.exit_code == 0, done.stderr
    for shown in ("AF [permanent]", "[/old] :warning: \\x1b[2J", str(shards)):
        assert shown in done.stdout
    assert "\x1b" not in done.stdout


def test_a_code_that_never_occurs_in_a_task_of_ones_own(
    mvkt: Any, study_file: WriteStudy, wfdb_folder: Path, tmp_path: Path
) -> None:
    shards, task = tmp_path / "shards", tmp_path / "mine.yaml"
    assert mvkt("ingest", "wfdb", wfdb_folder, shards, "--in-process").exit_code == 0
    task.write_text("name: mine\nclasses: {arrhythmia: [AFF], normal: [NORM]}\n")
    study = study_file({"data": {**WFDB_DATA, "task": str(task)}})
    line = ("search", study, "--data", shards, "--out", tmp_path / "out", "--in-process")
    mvkt(*line, "--dry-run").expect_wrong_input("'AFF'", "AF")


def truncate_dat(folder: Path) -> None:
    path = folder / "r00.dat"
    path.write_bytes(path.read_bytes()[:1000])


def lie_about_the_length(folder: Path) -> None:
    path = folder / "r00.hea"
    lines = path.read_text().splitlines()
    words = lines[0].split()
    words[3] = "900"
    path.write_text("\n".join([" ".join(words), *lines[1:]]) + "\n")


def remove_dat(folder: Path) -> None:
    (folder / "r00.dat").unlink()


def break_header(folder: Path) -> None:
    (folder / "r00.hea").write_text("not a header\n")


def change_signal(change: Callable[[np.ndarray], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        signal_mv = np.random.default_rng(1).normal(0, 0.3, (300, len(LEADS)))
        change(signal_mv)
        write_record(folder, "r00", signal_mv, LEADS)

    return write


def put_nan(signal_mv: np.ndarray) -> None:
    signal_mv[100:110, 3] = np.nan


def make_flat(signal_mv: np.ndarray) -> None:
    signal_mv[:, 7] = 0.25


def leave_out_a_lead(folder: Path) -> None:
    signal_mv = np.random.default_rng(1).normal(0, 0.3, (300, 11))
    write_record(folder, "r00", signal_mv, LEADS[:11])


@pytest.mark.parametrize(
    ("spoil", "reasons"),
    [
        (truncate_dat, {"truncated"}),
        (lie_about_the_length, {"truncated", "header_mismatch"}),
        (remove_dat, {"missing_file"}),
        (break_header, {"unreadable"}),
        (change_signal(put_nan), {"nan"}),
        (change_signal(make_flat), {"flat_lead"}),
        (leave_out_a_lead, {"missing_lead"}),
    ],
)
def test_a_recording_that_cannot_be_used_is_in_quarantine_with_its_reason(
    mvkt: Any,
    wfdb_folder: Path,
    tmp_path: Path,
    spoil: Callable[[Path], None],
    reasons: set[str],
) -> None:
    spoil(wfdb_folder)
    line = ("ingest", "wfdb", wfdb_folder)
    done = mvkt(*line, tmp_path / "shards", "--in-process", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["counts"]["n_recordings"] == 11
    assert done.json["counts"]["n_quarantined"] == 1
    (reason,) = done.json["quarantine"]
    assert reason in reasons
    assert "quarantined  1\n" in mvkt("inspect", tmp_path / "shards").stdout
    drawn = mvkt("inspect", tmp_path / "shards", "--draw", "r00")
    drawn.expect_wrong_input("'r00'", "in quarantine", reason)

    strict = mvkt(*line, tmp_path / "strict", "--in-process", "--strict")
    strict.expect_wrong_input("r00")
    assert not (tmp_path / "strict" / "manifest.json").exists()


def test_a_flat_lead_may_be_kept(mvkt: Any, wfdb_folder: Path, tmp_path: Path) -> None:
    change_signal(make_flat)(wfdb_folder)
    line = ("ingest", "wfdb", wfdb_folder, tmp_path / "shards", "--in-process", "--json")
    counts = mvkt(*line, "--flat-leads", "keep").json["counts"]
    assert (counts["n_recordings"], counts["n_quarantined"]) == (12, 0)


def test_a_recording_without_calibration_is_counted_or_refused(
    mvkt: Any, wfdb_folder: Path, tmp_path: Path
) -> None:
    header = wfdb_folder / "r00.hea"
    header.write_text(re.sub(r" [\d.]+\(0\)/mV", " 0(0)/mV", header.read_text()))
    line = ("ingest", "wfdb", wfdb_folder)
    # Samples of 1000 units per mV become five times as large by the 200 that are assumed.
    said = "1 recordings state no gain, taken as 200 units per mV"
    assert said in mvkt(*line, tmp_path / "shards", "--in-process").stdout
    assert said in mvkt("inspect", tmp_path / "shards").stdout
    done = mvkt(*line, tmp_path / "s", "--in-process", "--json", "--uncalibrated", "quarantine")
    assert done.json["quarantine"] == {"uncalibrated": 1}


def test_a_code_that_no_task_knows_is_kept_and_shown(
    mvkt: Any, wfdb_folder: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "shards" / "manifest.json"
    rows = read_labels(wfdb_folder)
    rows[0]["codes"] = "AF;NEWCODE"
    write_labels(wfdb_folder, rows)
    done = mvkt("ingest", "wfdb", wfdb_folder, manifest.parent, "--in-process", "--json")
    assert done.json["counts"]["n_recordings"] == 12
    assert json.loads(manifest.read_text())["details"]["codes"]["NEWCODE"] == 1


def test_a_file_where_the_study_should_be(mvkt: Any, home: Path, shards: Path) -> None:
    taken = home / "taken"
    taken.write_text("mine")
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", taken, "--in-process")
    mvkt(*line).expect_wrong_input(str(taken), "is a file")
    assert taken.read_text() == "mine"
