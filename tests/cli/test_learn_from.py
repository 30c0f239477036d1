"""`search.learn_from` from the command line: copied once, said in the plan, counted nowhere."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("without_images")


def test_a_search_goes_on_when_what_it_has_learnt_from_is_gone(
    mvkt: Any,
    study_dir: Path,
    study_file: Callable[[Mapping[str, Any]], Path],
    shards: Path,
    tmp_path: Path,
) -> None:
    other, out = tmp_path / "other", tmp_path / "study"
    shutil.copytree(study_dir, other)
    search = {"leads": ["II"], "n_trials": 1, "baselines": [], "learn_from": str(other)}
    line = ("search", study_file({"name": "learner", "search": search}), "--data", shards)
    line = (*line, "--teacher", study_dir / "teacher", "--out", out, "--in-process")
    planned = mvkt(*line, "--dry-run", "--json").json
    assert f"the sampler has learnt from 2 of {other}" in planned["stages"]["trials"]
    assert not out.exists()
    assert mvkt(*line).exit_code == 0
    learnt = (out / "learnt.json").read_bytes()
    assert len(json.loads(learnt)["trials"]) == 6
    shutil.rmtree(other)
    done = mvkt("extend", out, "--trials", 1, "--in-process", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["cost"]["trials"]["complete"] == 2
    assert (out / "learnt.json").read_bytes() == learnt
    (out / "learnt.json").unlink()
    gone = mvkt("extend", out, "--trials", 1, "--in-process")
    gone.expect_wrong_input(str(other), "holds no study")
