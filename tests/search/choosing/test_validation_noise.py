import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from mvkt_ray.errors import ArtifactError
from mvkt_ray.search.choosing.validation_noise import ValidationNoise
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import sealed_arrow
from mvkt_ray.training.trial_files import TrialFolder

N_RECORDINGS, N_CLASSES = 120, 3


def write_trial(folder: Path, number: int, scores_NC: np.ndarray, prefix: str = "r") -> None:
    """What a complete trial leaves, with the labels of `labels()`."""
    table = pa.table(
        {
            "record_id": [f"{prefix}{i}" for i in range(N_RECORDINGS)],
            "patient_id": [f"p{i // 2}" for i in range(N_RECORDINGS)],
            "probabilities": pa.FixedSizeListArray.from_arrays(
                pa.array(scores_NC.astype(np.float32).reshape(-1)), N_CLASSES
            ),
            "labels": pa.FixedSizeListArray.from_arrays(
                pa.array(labels().astype(np.int8).reshape(-1)), N_CLASSES
            ),
        }
    ).replace_schema_metadata({"classes": json.dumps(["A", "B", "C"])})
    TrialFolder.of(str(folder), number).validation.write_bytes(sealed_arrow(table))


def labels() -> np.ndarray:
    return np.random.default_rng(1).random((N_RECORDINGS, N_CLASSES)) < 0.4


def scores(strength: float, seed: int) -> np.ndarray:
    """Higher where the label is; half of the noise is the recording's own, for every seed."""
    shared = np.random.default_rng(2).standard_normal((N_RECORDINGS, N_CLASSES))
    own = np.random.default_rng(seed).standard_normal((N_RECORDINGS, N_CLASSES))
    return 1 / (1 + np.exp(-(strength * labels() + 0.7 * shared + 0.7 * own)))


def macro(weights: np.ndarray, scores_NC: np.ndarray) -> float:
    return float(np.mean([
        roc_auc_score(labels()[:, c], scores_NC[:, c], sample_weight=weights)
        for c in range(N_CLASSES)
    ]))  # fmt: skip


def test_the_noise_is_that_of_drawing_patients_again(tmp_path: Path) -> None:
    students = {4: scores(1.0, 3), 11: scores(1.5, 4), 7: scores(0.5, 5)}
    for number, scores_NC in students.items():
        write_trial(tmp_path, number, scores_NC)
    covariance = ValidationNoise(Location.parse(tmp_path))([4, 11, 7])
    rng = np.random.default_rng(6)
    drawn = [np.repeat(rng.multinomial(60, [1 / 60] * 60), 2) for _ in range(150)]
    by_hand = np.cov([[macro(w, s) for s in students.values()] for w in drawn], rowvar=False)
    # A standard error from 150 resamples is known to about 6 %, a correlation to about 0.08.
    np.testing.assert_allclose(np.sqrt(covariance.diagonal()), np.sqrt(by_hand.diagonal()), 0.25)
    np.testing.assert_allclose(correlation_of(covariance), correlation_of(by_hand), atol=0.3)
    assert 0.1 < correlation_of(covariance)[0, 1] < 0.8


def correlation_of(covariance: np.ndarray) -> np.ndarray:
    deviation = np.sqrt(covariance.diagonal())
    return covariance / np.outer(deviation, deviation)


def test_the_same_predictions_give_the_same_noise(tmp_path: Path) -> None:
    for number in (0, 1):
        write_trial(tmp_path, number, scores(1.0, number))
    noise = ValidationNoise(Location.parse(tmp_path))
    assert np.array_equal(noise([0, 1]), noise([0, 1]))
    assert np.allclose(noise([1, 0]), noise([0, 1])[::-1, ::-1], rtol=1e-12, atol=0)


def test_missing_damaged_and_foreign_predictions_are_refused(tmp_path: Path) -> None:
    write_trial(tmp_path, 0, scores(1.0, 0))
    noise = ValidationNoise(Location.parse(tmp_path))
    with pytest.raises(ArtifactError, match=r"00001/validation\.arrow is missing.*balanced"):
        noise([0, 1])
    write_trial(tmp_path, 1, scores(1.0, 1), prefix="other")
    with pytest.raises(ArtifactError, match="predictions of different recordings"):
        noise([0, 1])
    TrialFolder.of(str(tmp_path), 1).validation.write_bytes(b"ARROW1 and no more")
    with pytest.raises(ArtifactError, match=r"00001/validation\.arrow"):
        noise([0, 1])
