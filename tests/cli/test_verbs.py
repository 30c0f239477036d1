"""Every verb, on tiny synthetic data, as a user calls it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mvkt_ray.cli.verbs.demo import QUICKSTART
from mvkt_ray.config.study_file import read_study
from mvkt_ray.file_guards import find_installed
from mvkt_ray.records import TrialResult
from mvkt_ray.search import rerun_trial
from mvkt_ray.search.ledger.row_seals import sealed_result
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from mvkt_ray.training.process import torch_threads
from mvkt_ray.training.student import run_trial

pytestmark = pytest.mark.usefixtures("without_images")

WriteStudy = Callable[[Mapping[str, Any]], Path]


def is_plain(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


def test_ingest_ends_with_a_summary(mvkt: Any, tmp_path: Path) -> None:
    options = ("--option", "n_recordings=12", "--option", "duration_s=3", "--n-folds", 3)
    done = mvkt("ingest", "synthetic", "-", tmp_path / "shards", "--in-process", *options)
    assert done.exit_code == 0
    assert is_plain(done.stdout)
    assert "ingest: 12 of 12 recordings" in done.stdout
    assert "12 of 12" in done.stdout
    assert "1-3, made here" in done.stdout


def test_ingest_again_reuses_what_is_there_and_another_rate_is_refused(
    mvkt: Any, shards: Path
) -> None:
    line = ("ingest", "synthetic", "-", shards, "--in-process", "--rows-per-shard", 64)
    options = ("--option", "n_recordings=120", "--option", "duration_s=5")
    before = (shards / "manifest.json").read_bytes()
    assert mvkt(*line, *options).exit_code == 0
    mvkt(*line, *options, "--rate", 50).expect_wrong_input(str(shards), "another output folder")
    assert (shards / "manifest.json").read_bytes() == before


def test_ingest_in_json_says_what_the_manifest_says(mvkt: Any, tmp_path: Path) -> None:
    options = ("--option", "n_recordings=12", "--option", "duration_s=3", "--n-folds", 3)
    done = mvkt("ingest", "synthetic", "-", tmp_path / "s", "--in-process", *options, "--json")
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert done.json["counts"] == manifest["counts"]
    assert done.json["fingerprint"] == manifest["fingerprint"]
    assert "ingest: 12 of 12" in done.stderr


def test_verify_says_that_shards_are_intact(mvkt: Any, shards: Path) -> None:
    done = mvkt("verify", shards, "--json")
    assert done.exit_code == 0
    assert done.json["intact"]
    assert done.json["kind"] == "shards"


def test_inspect_describes_shards(mvkt: Any, shards: Path) -> None:
    value = mvkt("inspect", shards, "--json").json
    assert value["recordings"] == 120
    assert sum(value["folds"].values()) == 120
    shown = mvkt("inspect", shards)
    assert shown.exit_code == 0
    assert is_plain(shown.stdout)
    for text in ("recordings   120", "100 Hz", "Task synthetic", "Label codes"):
        assert text in shown.stdout


def test_inspect_draws_a_recording(mvkt: Any, shards: Path, tmp_path: Path) -> None:
    png = tmp_path / "sheet.png"
    done = mvkt("inspect", shards, "--draw", "syn0000003", "--png", png)
    assert done.exit_code == 0, done.stderr
    assert png.read_bytes().startswith(b"\x89PNG")


def test_inspect_cannot_draw_what_is_not_there(mvkt: Any, shards: Path, tmp_path: Path) -> None:
    mvkt("inspect", shards, "--draw", "nobody").expect_wrong_input("'nobody'", "syn0000000")
    png = tmp_path / "no" / "sheet.png"
    line = ("inspect", shards, "--draw", "syn0000003", "--png", png)
    mvkt(*line).expect_wrong_input("does not exist")
    mvkt("inspect", shards, "--png", png).expect_wrong_input("add --draw")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", ["study", "tiny", "never opened"]),
        ("teacher", ["sepconv1d_small", "macro AUROC", "from shards"]),
        ("knowledge", ["crops", "from teacher"]),
    ],
)
def test_inspect_describes_every_kind(
    mvkt: Any, study_dir: Path, name: str, expected: list[str]
) -> None:
    done = mvkt("inspect", study_dir / name)
    assert done.exit_code == 0, done.stderr
    for text in expected:
        assert text in done.stdout
    assert mvkt("inspect", study_dir / name, "--json").json["kind"] == (name or "study")


def test_inspect_and_status_refuse_a_folder_that_is_no_artifact(mvkt: Any, tmp_path: Path) -> None:
    for verb in ("inspect", "verify", "status", "report"):
        mvkt(verb, tmp_path).expect_wrong_input(str(tmp_path))


def test_train_teacher_then_cache_then_search_use_one_another(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path
) -> None:
    study, teacher, knowledge = home / "tiny.yaml", tmp_path / "teacher", tmp_path / "knowledge"
    line = ("train-teacher", study, "--data", shards, "--out", teacher, "--in-process")
    trained = mvkt(*line, "--json")
    assert trained.exit_code == 0, trained.stderr
    assert "teacher: epoch 2/2, validation macro AUROC" in trained.stderr
    assert "teacher: reused" in mvkt(*line).stdout

    line = ("cache", study, "--data", shards, "--teacher", teacher, "--out", knowledge)
    line = (*line, "--in-process")
    cached = mvkt(*line, "--json")
    assert cached.exit_code == 0, cached.stderr
    predicted, size = cached.json["predicted_size_bytes"], cached.json["size_bytes"]
    assert size == pytest.approx(predicted, rel=0.1)
    assert f"{cached.json['n_crops']:,} crops of the training split need" in cached.stderr
    assert "knowledge: reused" in mvkt(*line).stdout

    out = tmp_path / "study"
    line = ("search", study, "--data", shards, "--teacher", teacher, "--out", out, "--in-process")
    found = mvkt(*line, "--max-trials", 4, "--json")
    assert found.exit_code == 0, found.stderr
    macro_auroc = found.json["teacher"]["validation"]["macro_auroc"]
    assert macro_auroc == trained.json["validation"]["macro_auroc"]
    assert found.json["cost"]["trials"]["complete"] == 4


def test_search_says_on_plain_lines_what_it_does(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    study = study_file({"search": {"leads": ["II"], "n_trials": 3}})
    out = tmp_path / "study"
    done = mvkt("search", study, "--data", shards, "--out", out, "--in-process")
    assert done.exit_code == 0, done.stderr
    assert is_plain(done.stdout)
    lines = done.stdout.splitlines()
    for stage in ("shards: reused", "teacher: done in", "knowledge: done in", "trials: done in"):
        assert sum(line.startswith(stage) for line in lines) == 1
    assert sum("] trial " in line for line in lines) == 3
    assert "never opened" in done.stdout


def test_search_quiet_writes_the_table_only(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    study = study_file({"search": {"leads": ["II"], "n_trials": 2}})
    line = ("search", study, "--data", shards, "--out", tmp_path / "s", "--in-process", "--quiet")
    assert mvkt(*line).stdout.startswith("Study tiny, task synthetic")


def test_dry_run_says_what_would_be_done_and_writes_nothing(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path
) -> None:
    out = tmp_path / "study"
    line = ("search", home / "tiny.yaml", "--out", out, "--in-process", "--dry-run")
    given = mvkt(*line, "--data", shards, "--json").json
    assert given["n_trials"] == 6
    assert given["n_baselines"] == 4
    assert given["conditions"] == ["II", "V1"]
    assert "recordings to train" in given["stages"]["shards"]
    shown = mvkt(*line)
    assert "ingest synthetic" in shown.stdout
    assert "Nothing has been written." in shown.stdout
    assert list(tmp_path.iterdir()) == []


def test_status_counts_the_trials_of_a_study(mvkt: Any, study_dir: Path) -> None:
    value = mvkt("status", study_dir, "--json").json
    assert (value["n_finished"], value["n_trials"], value["n_running"]) == (6, 6, 0)
    assert [row["name"] for row in value["conditions"]] == ["II", "V1"]
    assert [row["n_complete"] for row in value["conditions"]] == [3, 3]
    shown = mvkt("status", study_dir, "--trials").stdout
    assert "6 of 6 have ended" in shown
    assert "student_alone" in shown


def test_report_ranks_on_validation_and_says_so(mvkt: Any, study_dir: Path) -> None:
    value = mvkt("report", study_dir, "--json").json
    assert value == json.loads((study_dir / "report" / "report.json").read_text())
    assert (study_dir / "report" / "index.html").stat().st_size > 10_000
    assert mvkt("status", study_dir, "--json").json["n_finished"] == 6
    shown = mvkt("report", study_dir).stdout
    assert "nothing is claimed" in " ".join(shown.split())
    assert "never opened" in shown
    for row in value["leads"]:
        assert f"{row['validation']['macro_auroc']:.3f}" in shown


def test_report_answers_where_its_files_cannot_be_written_and_says_so(
    mvkt: Any, study_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a study"
    shutil.copytree(study_dir, out, ignore=shutil.ignore_patterns("report"))
    (out / "report").write_text("in the way")
    done = mvkt("report", out, "--json")
    assert done.exit_code == 0
    assert done.json["leads"] == mvkt("report", study_dir, "--json").json["leads"]
    assert f"not all report files were written: {out}/report cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert (out / "report").read_text() == "in the way"


@pytest.mark.parametrize("trial", [0, 5])
def test_rerun_gives_the_same_numbers_and_leaves_the_study_alone(
    mvkt: Any, study_dir: Path, trial: int
) -> None:
    before = {path: path.stat().st_mtime_ns for path in study_dir.rglob("*") if path.is_file()}
    done = mvkt("rerun", study_dir, trial, "--json")
    assert done.exit_code == 0, done.stdout
    assert done.json["equal"]
    number = done.json["numbers"]["macro AUROC"]
    assert number["again"] == number["recorded"]
    after = {path: path.stat().st_mtime_ns for path in study_dir.rglob("*") if path.is_file()}
    assert after == before


def test_rerun_computes_with_the_threads_of_a_trial_however_many_cores_there_are(
    mvkt: Any, study_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where nobody says how many: then torch takes every core of the machine.
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    seen: list[int] = []

    def noticing(*arguments: Any) -> TrialResult:
        seen.append(torch.get_num_threads())
        return run_trial(*arguments)

    monkeypatch.setattr(rerun_trial, "run_trial", noticing)
    with torch_threads(2):
        done = mvkt("rerun", study_dir, 5, "--json")
        assert torch.get_num_threads() == 2
    assert seen == [1]
    assert done.json["equal"]


def test_rerun_of_a_study_that_was_tampered_with_differs(
    mvkt: Any, study_dir: Path, tmp_path: Path
) -> None:
    import sqlite3

    out = tmp_path / "study"
    shutil.copytree(study_dir, out)
    _, study = open_study(StudyFolder(Location.parse(out)))
    record = study.trials()[5]
    study.close()
    assert record.result is not None
    assert record.result.macro_auroc is not None
    higher = replace(record.result, macro_auroc=record.result.macro_auroc + 0.001)

    def write(result: dict[str, Any]) -> None:
        with sqlite3.connect(out / "ledger.db") as ledger:
            ledger.execute(
                "UPDATE trial_user_attributes SET value_json = ? "
                "WHERE key = 'result' AND trial_id = 6",
                [json.dumps(result)],
            )
        ledger.close()

    write({**sealed_result(record, record.result), "macro_auroc": higher.macro_auroc})
    done = mvkt("rerun", out, 5)
    assert done.exit_code == 2
    assert "trial 5 has another hash than was written with it" in done.stderr
    # By somebody who knows of the hash.
    write(sealed_result(record, higher))
    done = mvkt("rerun", out, 5)
    assert done.exit_code == 1
    assert "the numbers differ" in done.stdout
    assert "DIFFERS" in done.stdout


def test_rerun_of_a_trial_that_is_not_there_is_wrong_input(mvkt: Any, study_dir: Path) -> None:
    done = mvkt("rerun", study_dir, 77, "--quiet")
    done.expect_wrong_input("trial 77", "6 of 6")


def test_the_study_of_the_demo_is_found_and_valid() -> None:
    config = read_study(find_installed(QUICKSTART))
    assert config.data.source == "synthetic"
    assert config.search.leads == ()


def test_doctor_without_ray_tells_versions_and_processors(mvkt: Any) -> None:
    done = mvkt("doctor", "--no-ray", "--json")
    assert done.exit_code == 0
    assert done.json["ok"]
    assert {"torch", "ray", "CPUs", "memory", "GPUs"} <= done.json["found"].keys()
