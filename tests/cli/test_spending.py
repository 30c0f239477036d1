"""Prices, limits, predictions and trackers, as a person meets them on the command line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

if TYPE_CHECKING:
    from conftest import Mvkt


pytestmark = pytest.mark.usefixtures("without_images")


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """This machine for so much that any epoch passes any limit."""
    path = tmp_path / "prices.yaml"
    machine = {
        "price_per_hour": 3.6e6,
        "cpus": os.cpu_count(),
        "gpus": torch.cuda.device_count(),
    }
    path.write_text(yaml.safe_dump({"currency": "EUR", "node_types": {"here": machine}}))
    return path


def test_a_search_stops_at_its_limit_with_a_report_and_goes_on_to_the_same_study(
    mvkt: "Mvkt", home: Path, shards: Path, study_dir: Path, prices: Path, tmp_path: Path
) -> None:
    out, line = tmp_path / "study", ("search", home / "tiny.yaml", "--data", shards, "--in-process")
    tracker = f"tensorboard={tmp_path / 'tb'}"
    teacher = ("--teacher", study_dir / "teacher")
    stopped = mvkt(
        *(*line, *teacher, "--out", out, "--prices", prices, "--max-cost", "0.01"),
        *("--tracker", tracker),
    )
    assert stopped.exit_code == 0, stopped.stderr
    assert "(--max-cost) are spent. 0 of 6 trials have ended; 1 were stopped" in stopped.stderr
    assert f"mvkt search --resume --out {out}" in stopped.stderr
    report = json.loads((out / "report" / "report.json").read_bytes())
    assert report["cost"]["trials"] == {**report["cost"]["trials"], "running": 1, "complete": 0}
    assert report["cost"]["money"]["total"] > 0.01
    state = json.loads(mvkt("status", out, "--json").stdout)
    assert state["spent"].endswith(" EUR")
    assert list((tmp_path / "tb").glob("*/trial 00000*/events*"))

    again = mvkt(*("search", "--resume", "--out", out, "--in-process", "--max-cost", "0.01"))
    assert again.exit_code == 0, again.stderr
    assert "0 of 6 trials have ended" in again.stderr

    whole = mvkt(*("search", "--resume", "--out", out, "--in-process", "--quiet"))
    assert whole.exit_code == 0, whole.stderr
    assert "Stopped" not in whole.stderr
    report = json.loads((out / "report" / "report.json").read_bytes())
    undisturbed = json.loads((study_dir / "report" / "report.json").read_bytes())
    scores = [[lead["validation"] for lead in each["leads"]] for each in (report, undisturbed)]
    assert scores[0] == scores[1]
    assert report["cost"]["money"]["currency"] == "EUR"
    assert report["cost"]["money"]["unpriced_worker_s"] == 0
    trials = mvkt("status", out, "--trials").stdout
    assert "EUR" in trials


def test_a_prediction_says_what_it_rests_on(
    mvkt: "Mvkt", home: Path, shards: Path, study_dir: Path, prices: Path, tmp_path: Path
) -> None:
    line = ("search", home / "tiny.yaml", "--data", shards, "--in-process", "--dry-run")
    out = ("--out", tmp_path / "new")
    assert "Give a study with similar data" in mvkt(*line, *out).stdout
    done = mvkt(*line, *out, "--like", study_dir, "--prices", prices, "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["prediction"]
    assert found["basis"] == f"6 trials of {study_dir}"
    assert (found["n_trials"], found["n_at_once"], found["currency"]) == (6, 1, "EUR")
    assert found["money"] > 0
    report = json.loads((study_dir / "report" / "report.json").read_bytes())
    # What it rests on took about as long: the share of epochs is known, the rest is measured.
    share = report["cost"]["epochs_trained"] / (6 * max(1, found_epochs(home)))
    assert found["share"] == pytest.approx(share)
    missing = mvkt(*line, *out, "--like", tmp_path / "nowhere")
    assert missing.exit_code == 2
    assert "holds no study" in missing.stderr


def found_epochs(home: Path) -> int:
    return yaml.safe_load((home / "tiny.yaml").read_text())["student"]["epochs"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--max-cost", "5"], "--max-cost 5 needs prices"),
        (["--max-cost", "-1"], "--max-cost must be above 0, got -1"),
        (["--max-gpu-hours", "0"], "--max-gpu-hours must be above 0, got 0"),
        (["--max-gpu-hours", "nan"], "--max-gpu-hours must be above 0, got nan"),
        (["--max-gpu-hours", "2"], "--max-gpu-hours 2 would never be reached"),
        (["--tracker", "neptune=x"], "write one of mlflow=URI"),
        (["--prices", "nowhere.yaml"], "nowhere.yaml cannot be read"),
    ],
)
def test_a_limit_or_tracker_that_makes_no_sense_is_one_paragraph_and_nothing_is_written(
    mvkt: "Mvkt", home: Path, shards: Path, tmp_path: Path, flags: list[str], said: str
) -> None:
    out = tmp_path / "study"
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", out, "--in-process")
    done = mvkt(*line, *flags)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: p.update(node_type={}), "node_type: there is no such key; did you mean 'node_"),
        (lambda p: p.pop("node_types"), "has no node_types"),
        (
            lambda p: p["node_types"]["here"].update(price=1),
            "node_types.here.price: there is no such key; there is: price_per_hour",
        ),
        (
            lambda p: p["node_types"]["here"].update(price_per_hour=-1),
            "price_per_hour must be >= 0, got -1",
        ),
        (
            lambda p: p["node_types"]["here"].update(cpus=12345),
            "there is no price for a node (",
        ),
    ],
)
def test_prices_that_are_wrong_name_the_key_and_the_value(
    mvkt: "Mvkt",
    home: Path,
    shards: Path,
    prices: Path,
    tmp_path: Path,
    change: Callable[[Any], Any],
    said: str,
) -> None:
    value = yaml.safe_load(prices.read_text())
    change(value)
    prices.write_text(yaml.safe_dump(value))
    out = tmp_path / "study"
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", out, "--in-process")
    done = mvkt(*line, "--prices", prices, "--max-cost", "5")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (out / "study.yaml").exists()
