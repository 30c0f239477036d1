"""`mvkt label-budget` from the command line: real cells, killed and gone on with, and refused."""

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from mvkt_ray.training import fit

if TYPE_CHECKING:
    from conftest import Mvkt

STUDY: dict[str, Any] = {
    "name": "budget",
    "data": {
        "source": "synthetic",
        "task": "synthetic",
        "folds": {"train": [1, 2], "val": [3, 4, 5, 6], "test": [7, 8, 9, 10]},
    },
    "view": {"crop_s": 1.0, "grid_s": 3.0, "stride_s": 5.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 2, "batch_size": 16},
    "student": {"epochs": 2},
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 16,
        "kd_weight": [0.0, 4.0],
        "clt_weight": 0.0,
        "epochs": [1, 2],
    },
    "search": {
        "leads": ["II"],
        "n_trials": 4,
        "sampler": "grid",
        "baselines": [],
        "pruner": {"kind": "none"},
    },
    "finals": {
        "n_seeds": 2,
        "n_configurations": 0,
        "baselines": [],
        "answer": "distilled",
        "contenders": {
            "alone": {"where": {"kd_weight": 0.0}},
            "distilled": {"where": {"kd_weight": 4.0}},
        },
    },
}
CELLS = ["folds2_draw1", "folds1_draw1", "folds1_draw2"]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("budget") / "budget.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


@pytest.fixture(scope="module")
def whole(study: Path, shards: Path, mvkt: "Mvkt") -> Path:
    """A label budget that nobody interrupted; nobody writes into it."""
    out = study.parent / "whole"
    line = ("label-budget", study, "--data", shards, "--out", out, "--draws", 2, "--in-process")
    done = mvkt(*line, "--quiet")
    assert done.exit_code == 0, done.stderr
    assert "as good as alone with" in done.stdout
    return out


def curve_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report" / "label_curve.json").read_text())


def without_place(curve: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in curve.items() if key != "made_at"}


def test_every_cell_is_a_study_whose_teacher_knows_the_labels_of_its_folds(whole: Path) -> None:
    curve = curve_of(whole)
    assert [cell["name"] for cell in curve["cells"]] == CELLS
    assert {cell["state"] for cell in curve["cells"]} == {"examined"}
    (lead,) = curve["leads"]
    n_labelled = [point["n_labelled"] for point in lead["points"]]
    assert n_labelled[0] * 2 == n_labelled[1]
    assert [len(point["answer"]["by_draw"]) for point in lead["points"]] == [2, 1]
    known: dict[str, int] = {}
    first = json.loads((whole / CELLS[0] / "inputs.json").read_text())
    for name in CELLS:
        counts = json.loads((whole / name / "teacher" / "manifest.json").read_text())["counts"]
        known[name] = counts["n_train"]
        # Students of every cell distil over the same recordings.
        inputs = json.loads((whole / name / "inputs.json").read_text())
        assert inputs["shards"] == first["shards"]
        knowledge = json.loads((whole / name / "knowledge" / "manifest.json").read_text())
        assert knowledge["counts"]["n_recordings"] == known[CELLS[0]]
    assert known["folds1_draw1"] + known["folds1_draw2"] == known["folds2_draw1"]
    page = (whole / "report" / "index.html").read_text()
    assert "made up by a program" in page


def test_alone_and_distilled_make_their_own_choice_by_validation(whole: Path) -> None:
    plan = json.loads((whole / CELLS[1] / "finals" / "01" / "plan.json").read_text())
    chosen = {each["name"]: each["hyperparameters"] for each in plan["contenders"]}
    assert chosen["alone"]["kd_weight"] == 0
    assert chosen["distilled"]["kd_weight"] == 4
    assert {each["epochs"] for each in chosen.values()} <= {1, 2}


def test_killed_and_gone_on_with_it_draws_the_same_curve(
    whole: Path,
    study: Path,
    shards: Path,
    tmp_path: Path,
    mvkt: "Mvkt",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # In the search of the second cell; `test_finalize` interrupts finals.
    n_epochs, out, calls = 18, tmp_path / "out", list[int]()
    original = fit._scored  # pyright: ignore[reportPrivateUsage]

    def stopped(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) > n_epochs:
            raise KeyboardInterrupt
        return original(*args, **options)

    line = ("label-budget", study, "--data", shards, "--out", out, "--draws", 2, "--in-process")
    with monkeypatch.context() as patch:
        patch.setattr(fit, "_scored", stopped)
        done = mvkt(*line)
    assert done.exit_code == 130
    assert "Resume with: mvkt label-budget" in done.stderr
    # Without being told to, nobody goes on in a folder in use.
    mvkt(*line).expect_wrong_input("--resume")
    done = mvkt("label-budget", "--out", out, "--in-process", "--resume", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert without_place(curve_of(out)) == without_place(curve_of(whole))
    # Once more there is nothing to do, and nothing is opened again.
    done = mvkt("label-budget", "--out", out, "--in-process", "--resume")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.count("; done already") == len(CELLS)


def test_what_is_finished_is_drawn_and_the_rest_is_named(
    whole: Path, tmp_path: Path, mvkt: "Mvkt"
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    shutil.rmtree(out / CELLS[2])
    done = mvkt("label-budget", "--out", out, "--report", "--json")
    assert done.exit_code == 0, done.stderr
    curve = done.json
    assert [cell["state"] for cell in curve["cells"]] == ["examined", "examined", "new"]
    assert f"2 of 3 cells are examined; {CELLS[2]} is not" in " ".join(curve["sentences"])
    shutil.rmtree(out / CELLS[0])
    shutil.rmtree(out / CELLS[1])
    done = mvkt("label-budget", "--out", out, "--report")
    done.expect_wrong_input("no cell", "--resume")


def test_a_dry_run_lists_the_cells_and_writes_nothing(
    study: Path, shards: Path, tmp_path: Path, mvkt: "Mvkt"
) -> None:
    out = tmp_path / "out"
    line = ("label-budget", study, "--data", shards, "--out", out, "--dry-run")
    done = mvkt(*line, "--draws", 2, "--budgets", "0.5,1,2")
    assert done.exit_code == 0, done.stderr
    assert "a search of 4 trials, then finals with 2 seeds" in " ".join(done.stdout.split())
    for name in [*CELLS, "share0_5_draw1", "share0_5_draw2"]:
        assert re.search(rf"{name} .* new", done.stdout)
    assert not out.exists()

    # What the run would refuse, the dry run refuses as well.
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    mvkt(*line).expect_wrong_input("holds mine.txt but no label budget")


def test_other_budgets_are_added_to_what_is_there(
    whole: Path, tmp_path: Path, mvkt: "Mvkt"
) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "out"))
    line = ("label-budget", "--out", out, "--resume", "--dry-run", "--json")
    done = mvkt(*line, "--budgets", "0.5,1,2", "--draws", 1)
    states = {cell["name"]: cell["state"] for cell in done.json["cells"]}
    assert states == {
        "folds2_draw1": "examined",
        "folds1_draw1": "examined",
        "share0_5_draw1": "new",
    }


def test_wrong_input_is_told_before_anything_is_written(
    study: Path, shards: Path, tmp_path: Path, mvkt: "Mvkt"
) -> None:
    out = tmp_path / "out"
    line = ("label-budget", study, "--data", shards, "--out", out, "--in-process")
    mvkt(*line, "--budgets", "3").expect_wrong_input("3 is neither", "2 training folds")
    mvkt(*line, "--budgets", "many").expect_wrong_input("write numbers of labelled training folds")
    mvkt(*line, "--draws", 0).expect_wrong_input("--draws must be at least 1")
    mvkt("label-budget", "--out", out).expect_wrong_input("STUDY.yaml is missing")
    mvkt("label-budget", "--out", out, "--report").expect_wrong_input("holds no label budget")
    missing = ("label-budget", study, "--data", tmp_path / "none", "--out", out, "--in-process")
    mvkt(*missing).expect_wrong_input("none")
    assert not out.exists()
