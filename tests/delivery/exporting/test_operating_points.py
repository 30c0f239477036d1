"""Thresholds and temperature of an exported model: chosen on enough recordings, or not at all."""

import numpy as np
import pytest

from mvkt_ray.delivery.exporting.operating_points import OperatingPoints
from mvkt_ray.statistics.decisions import f1_thresholds
from mvkt_ray.statistics.temperature import fit_temperature

RNG = np.random.default_rng(0)
LABELS = (RNG.random((200, 3)) < [0.5, 0.2, 0.02]).astype(np.float32)
SAID = np.clip(0.3 * LABELS + RNG.random(LABELS.shape) * 0.7, 0.01, 0.99).astype(np.float32)


def test_a_class_that_few_have_gets_no_threshold() -> None:
    assert 0 < LABELS[:, 2].sum() < 10
    points = OperatingPoints.chosen_on(LABELS, SAID)
    assert list(points.thresholds) == ["f1", "sensitivity_0.90", "specificity_0.90"]
    for chosen in points.thresholds.values():
        assert chosen[2] is None
        assert chosen[0] is not None
    assert points.thresholds["f1"][0] == f1_thresholds(LABELS, SAID)[0]
    assert points.temperature == fit_temperature(LABELS, SAID)


def test_the_worth_of_a_threshold_is_counted() -> None:
    points = OperatingPoints(thresholds={"f1": (0.5, None, 0.9)}, temperature=1.0)
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]])
    said = np.array([[0.6, 1, 1], [0.4, 1, 0], [0.5, 1, 0], [0.1, 1, 0]])
    (first, second, third) = points.performance("f1", labels, said)
    assert first == (0.5, 0.5)
    assert second == (None, None)
    # Nobody has the third class, so nothing is known of its sensitivity.
    assert third == (None, 0.75)


@pytest.mark.parametrize(("name", "place"), [("sensitivity_0.90", 0), ("specificity_0.90", 1)])
def test_what_a_threshold_was_chosen_for_is_reached_where_it_was_chosen(
    name: str, place: int
) -> None:
    points = OperatingPoints.chosen_on(LABELS, SAID)
    for performance in points.performance(name, LABELS, SAID)[:2]:
        reached = performance[place]
        assert reached is not None
        assert reached >= 0.90


def test_nothing_is_chosen_on_recordings_that_were_learned_from() -> None:
    points = OperatingPoints.none(2)
    assert points.temperature == 1.0
    assert set(points.thresholds.values()) == {(None, None)}
