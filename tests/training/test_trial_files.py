"""The folder of a trial: what is in it is what the trial left, or it is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.training.predictions_file import parse_predictions, read_predictions, sealed_arrow
from mvkt_ray.training.trial_files import TrialFolder

RECIPE = "recipe"


def made(trials: Path, number: int) -> tuple[TrialFolder, TrialResult]:
    """Write what a complete trial leaves, but for the predictions of a split: any table does."""
    folder = TrialFolder.of(str(trials), number)
    values = pa.array(np.array([0.5, 0.25 + number], np.float32))
    table = pa.table(
        {
            "record_id": pa.array(["a", "b"]),
            "patient_id": pa.array(["p", "q"]),
            "probabilities": pa.FixedSizeListArray.from_arrays(values, 1),
            "labels": pa.FixedSizeListArray.from_arrays(pa.array([0, 1], pa.int8()), 1),
        }
    ).replace_schema_metadata({"classes": '["AF"]'})
    with torch.random.fork_rng():
        torch.manual_seed(number)
        weights = nn.Linear(2, 1).weight.detach().numpy().tobytes()
    files = {folder.validation: sealed_arrow(table), folder.student: weights}
    for file, content in files.items():
        file.write_bytes(content)
    trial = Trial(
        number=number, condition=Condition(leads=("I",)), arm=Arm.SEARCH, hyperparameters={}
    )
    result = TrialResult(number=number, state=TrialState.COMPLETE, macro_auroc=0.7 + number / 10)
    hashes = {file.name: hashlib.sha256(content).hexdigest() for file, content in files.items()}
    folder.write_result(trial, result, [], recipe=RECIPE, facts={}, files=hashes)
    return folder, result


def test_what_a_trial_left_is_read(tmp_path: Path) -> None:
    folder, result = made(tmp_path, 0)
    stored = folder.parse_result(folder.result_content(), RECIPE)
    assert stored is not None
    assert stored.result == result
    assert folder.read_student(result) == folder.student.read_bytes()
    assert folder.read_validation(result).probabilities_NC[:, 0].tolist() == [0.5, 0.25]


@pytest.mark.parametrize("name", ["student.safetensors", "validation.arrow", "result.json"])
def test_a_file_of_another_trial_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    folder, result = made(tmp_path, 0)
    other, _ = made(tmp_path, 1)
    (folder.location / name).write_bytes((other.location / name).read_bytes())
    read = folder.read_validation if name == "validation.arrow" else folder.read_student
    with pytest.raises(ArtifactError, match=rf"00000/{name}.*Restore it from a copy"):
        read(result)


def test_a_damaged_or_foreign_result_is_none_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = made(tmp_path, 0)
    content = folder.result_content()
    assert content is not None
    for harmed in (b"", content[:-20], content.replace(b"0.7", b"0.8", 1)):
        caplog.clear()
        assert folder.parse_result(harmed, RECIPE) is None
        assert "result.json is damaged" in caplog.text
    assert folder.parse_result(content, "another") is None
    assert "of another trial" in caplog.text


def test_every_bit_of_predictions_counts(tmp_path: Path) -> None:
    folder, _ = made(tmp_path, 0)
    whole = folder.validation.read_bytes()
    said = read_predictions(folder.validation)
    assert "sha256" not in "".join(said.tags)
    rng = np.random.default_rng(0)
    for at in rng.integers(len(whole), size=60):
        changed = bytearray(whole)
        changed[at] ^= 1 << int(rng.integers(8))
        with pytest.raises(ArtifactError, match=r"validation\.arrow"):
            parse_predictions(bytes(changed), folder.validation)
