"""Temperature scaling: a known temperature is found again, and the order of scores stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import log_loss

from mvkt_ray.delivery.predicting.answer_rows import calibrated
from mvkt_ray.errors import DataError
from mvkt_ray.statistics.temperature import fit_temperature


@given(st.floats(0.3, 4.0), st.integers(0, 5))
def test_the_temperature_that_made_probabilities_too_bold_is_found(true: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (4000, 3))
    labels = rng.random(logits.shape) < expit(logits)
    assert fit_temperature(labels, expit(logits * true)) == pytest.approx(true, rel=0.12)


@given(st.integers(0, 20))
def test_no_other_temperature_has_a_lower_cross_entropy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.random((200, 2))
    labels = rng.random((200, 2)) < probabilities**2
    found = fit_temperature(labels, probabilities)

    def loss(temperature: float) -> float:
        return log_loss(labels.ravel(), calibrated(probabilities, temperature).ravel())

    for other in (found * 0.9, found * 1.1, 1.0):
        assert loss(found) <= loss(other) + 1e-9


@given(st.floats(0.5, 10.0))
def test_calibration_moves_no_recording_past_another(temperature: float) -> None:
    probabilities = np.linspace(0.001, 0.999, 50)[:, None]
    assert (np.diff(calibrated(probabilities, temperature)[:, 0]) > 0).all()


def test_a_temperature_of_one_changes_nothing() -> None:
    probabilities = np.array([[0.1, 0.9], [0.5, 0.2]])
    assert calibrated(probabilities, 1.0) == pytest.approx(probabilities)


def test_certainty_that_is_wrong_is_no_infinite_loss() -> None:
    assert fit_temperature(np.array([[1], [0]]), np.array([[0.0], [1.0]])) == pytest.approx(20, 0.1)


def test_a_nan_is_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        fit_temperature(np.array([[1.0]]), np.array([[np.nan]]))
