"""Studies whose students learn from something else than one network of all leads."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mvkt_ray.data.shards import open_shards
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions

WriteStudy = Callable[[Mapping[str, Any]], Path]

FINALS = {"n_seeds": 1, "baselines": []}


def test_an_ensemble_teaches_is_shown_and_is_examined_as_one_teacher(
    mvkt: Any, study_file: WriteStudy, shards: Path, tmp_path: Path
) -> None:
    study = study_file(
        {"teacher": {"members": 2}, "search": {"leads": ["II"], "n_trials": 3}, "finals": FINALS}
    )
    out = tmp_path / "study"
    line = ("search", study, "--data", shards, "--out", out, "--in-process")
    plan = mvkt(*line, "--dry-run").stdout
    assert "train an ensemble of 2 sepconv1d_small for 2 epochs" in " ".join(plan.split())
    searched = mvkt(*line, "--json")
    assert searched.exit_code == 0, searched.stderr
    assert "teacher: epoch 4/4, validation macro AUROC" in searched.stderr

    teacher = read_manifest(out / "teacher")
    one, other = (each["macro_auroc"] for each in teacher.details["members"])
    shown = " ".join(mvkt("inspect", out / "teacher").stdout.split())
    assert f"members alone {one:.3f}, {other:.3f}" in shown
    assert "an ensemble of 2 sepconv1d_small" in shown
    knowledge = open_knowledge(
        str(out / "knowledge"), shards=open_shards(shards), teacher=teacher.fingerprint
    )
    assert knowledge.embedding_dim == teacher.details["embedding_dim"]

    final = mvkt("finalize", out, "--in-process", "--json")
    assert final.exit_code == 0, final.stderr
    told = json.loads((out / "report" / "report.json").read_text())["teacher"]
    assert told["network"] == "an ensemble of 2 sepconv1d_small"
    assert told["n_parameters"] == teacher.counts["n_parameters"]
    assert told["validation"]["macro_auroc"] == teacher.details["macro_auroc"]
    examined = read_predictions(Location.parse(out / "finals" / "01" / "teacher_test.arrow"))
    assert examined.tags["weights"] == teacher.files["teacher.safetensors"].sha256
