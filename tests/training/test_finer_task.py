"""Students that learn the labels of a second, finer task beside those that they are examined on."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mvkt_ray.config.data_config import LabelledConfig, LabelUse
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Decision, EpochMetrics, TrialState
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.trial_files import TrialFolder

if TYPE_CHECKING:
    from conftest import TinyStudy


def curve(
    study: "TinyStudy", folder: Path, changes: dict[str, Any], **hyperparameters: Any
) -> list[EpochMetrics]:
    """Train a student, and return what it reported."""
    heard: list[EpochMetrics] = []

    def report(metrics: EpochMetrics) -> Decision:
        heard.append(metrics)
        return Decision.CONTINUE

    inputs = study.trials_in(folder, **changes)
    result = run_trial(study.trial(**hyperparameters), inputs, report)
    assert result.state is TrialState.COMPLETE
    return heard


@pytest.fixture(scope="session")
def finer(tiny_study: "TinyStudy") -> dict[str, Any]:
    return {"finer_task": tiny_study.shards.task("synthetic_codes")}


@pytest.mark.parametrize("weights", [{}, {"kd_weight": 0.0, "clt_weight": 0.0}])
def test_finer_labels_are_learned_with_a_teacher_and_alone(
    tiny_study: "TinyStudy", finer: dict[str, Any], tmp_path: Path, weights: dict[str, float]
) -> None:
    heard = curve(tiny_study, tmp_path, finer, finer_weight=1.0, **weights)
    losses = [metrics.losses["finer"] for metrics in heard]
    assert losses[-1] < losses[0]
    for metrics in heard:
        kd, clt = weights.get("kd_weight", 1.0), weights.get("clt_weight", 0.02)
        parts = metrics.losses
        total = parts["label"] + kd * parts["kd"] + clt * parts["clt"] + parts["finer"]
        assert parts["total"] == pytest.approx(total, rel=1e-5)
    # The head is thrown away: what is left is a student as any other.
    other = curve(tiny_study, tmp_path / "other", {}, **weights)
    assert "finer" not in other[0].losses
    sizes = [
        len(TrialFolder.of(str(folder), 0).student.read_bytes())
        for folder in (tmp_path, tmp_path / "other")
    ]
    assert sizes[0] == sizes[1]


def test_a_finer_task_that_weighs_nothing_changes_no_digit(
    tiny_study: "TinyStudy", finer: dict[str, Any], tmp_path: Path
) -> None:
    with_task = curve(tiny_study, tmp_path / "with", finer)
    without = curve(tiny_study, tmp_path / "without", {})
    for one, other in zip(with_task, without, strict=True):
        assert one.losses == other.losses
        assert one.macro_auroc == other.macro_auroc


def test_other_terms_begin_with_the_same_numbers_beside_it(
    tiny_study: "TinyStudy", finer: dict[str, Any], tmp_path: Path
) -> None:
    # At a rate of almost nothing they stay what they were.
    slow = {"learning_rate": 1e-12, "schedule": "constant"}
    beside = curve(tiny_study, tmp_path / "with", finer, finer_weight=1.0, **slow)
    plain = curve(tiny_study, tmp_path / "without", {}, **slow)
    for name in ("label", "kd", "clt"):
        assert beside[0].losses[name] == pytest.approx(plain[0].losses[name], rel=1e-6)


def test_recordings_without_a_known_label_have_no_finer_one_either(
    tiny_study: "TinyStudy", finer: dict[str, Any], tmp_path: Path
) -> None:
    use = LabelUse(labelled=LabelledConfig(fraction=0.5), distils_unlabelled=True)
    heard = curve(
        tiny_study,
        tmp_path,
        finer | {"label_use": use},
        finer_weight=1.0,
        mixup=0.2,
        clt_weight=0.0,
    )
    assert all(np.isfinite(metrics.losses["finer"]) for metrics in heard)


def test_a_weight_without_a_finer_task_is_refused(tiny_study: "TinyStudy", tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"finer_weight of trial 0 is 1\.0.*data\.finer_task"):
        curve(tiny_study, tmp_path, {}, finer_weight=1.0)
