"""A trial of several seeds is the mean of its trainings, whatever becomes of its process."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import pytest

from mvkt_ray.records import Arm, Decision, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.students.several_seeds import result_of_seeds
from mvkt_ray.training.students.trial_inputs import TrialInputs

if TYPE_CHECKING:
    from conftest import TinyStudy

Report = Callable[[EpochMetrics], Decision]
EPOCHS, N_SEEDS = 3, 2


class KilledError(Exception):
    """Stands for a process that dies."""


def without_times(result: TrialResult) -> TrialResult:
    return replace(result, wall_s=0.0, cpu_s=0.0)


@pytest.fixture(scope="module")
def trial(tiny_study: "TinyStudy") -> Trial:
    return tiny_study.trial(number=4, lead="V1", label_weight=1.0)


@pytest.fixture(scope="module")
def alone(
    tiny_study: "TinyStudy", trial: Trial, go_on: Report, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[TrialResult], Path]:
    """Each seed as a trial of its own, and where the first is."""
    folders = [tmp_path_factory.mktemp(f"seed{seed}") for seed in range(N_SEEDS)]
    results = [
        run_trial(replace(trial, repetition=seed), tiny_study.trials_in(folder), go_on)
        for seed, folder in enumerate(folders)
    ]
    return results, folders[0] / "00004"


def several(tiny_study: "TinyStudy", folder: Path) -> TrialInputs:
    return tiny_study.trials_in(folder, seeds_per_trial=N_SEEDS)


def test_it_is_the_mean_of_its_seeds_and_leaves_what_the_first_leaves(
    tiny_study: "TinyStudy",
    trial: Trial,
    alone: tuple[list[TrialResult], Path],
    tmp_path: Path,
) -> None:
    heard: list[EpochMetrics] = []

    def report(metrics: EpochMetrics) -> Decision:
        heard.append(metrics)
        return Decision.CONTINUE

    results, first = alone
    result = run_trial(trial, several(tiny_study, tmp_path), report)
    scores = [each.macro_auroc for each in results if each.macro_auroc is not None]
    assert scores[0] != scores[1]
    assert result.macro_auroc == fmean(scores)
    for name, value in result.per_class_auroc.items():
        assert value == fmean(each.per_class_auroc[name] for each in results)
    assert result.epochs == N_SEEDS * EPOCHS
    # The epochs of later seeds are counted on, and nobody decides by them.
    assert [metrics.epoch for metrics in heard] == list(range(1, 1 + N_SEEDS * EPOCHS))
    assert all(metrics.macro_auroc is not None for metrics in heard[:EPOCHS])
    assert all(metrics.macro_auroc is None for metrics in heard[EPOCHS:])
    own = tmp_path / "00004"
    left = ["result.json", "student.safetensors", "validation.arrow"]
    assert sorted(path.name for path in own.iterdir()) == left
    for name in left[1:]:
        assert (own / name).read_bytes() == (first / name).read_bytes()
    assert json.loads((own / "result.json").read_text())["made_from"]["seeds"] == scores


@pytest.mark.parametrize("epoch", [1, EPOCHS, EPOCHS + 1, N_SEEDS * EPOCHS])
def test_killed_after_any_epoch_it_goes_on_and_trains_no_epoch_twice(
    tiny_study: "TinyStudy",
    trial: Trial,
    alone: tuple[list[TrialResult], Path],
    tmp_path: Path,
    epoch: int,
) -> None:
    def dying(metrics: EpochMetrics) -> Decision:
        if metrics.epoch == epoch:
            raise KilledError
        return Decision.CONTINUE

    trained: list[int] = []

    def going_on(metrics: EpochMetrics) -> Decision:
        trained.append(metrics.epoch)
        return Decision.CONTINUE

    inputs = several(tiny_study, tmp_path)
    with pytest.raises(KilledError):
        run_trial(trial, inputs, dying)
    left = {path.name for path in (tmp_path / "00004").iterdir()}
    # At most the epoch that was being reported is in neither.
    assert "checkpoint.pt" in left
    assert ("seeds.json" in left) == (epoch > EPOCHS)
    result = run_trial(trial, inputs, going_on)
    assert without_times(result) == without_times(result_of_seeds(alone[0]))
    assert trained == list(range(1, 1 + N_SEEDS * EPOCHS))
    # An ended one is not trained again.
    assert run_trial(trial, inputs, going_on) == result


def test_it_stops_where_it_is_told_and_goes_on_from_there(
    tiny_study: "TinyStudy", trial: Trial, go_on: Report, tmp_path: Path
) -> None:
    inputs = several(tiny_study, tmp_path)

    def stop_at(epoch: int, decision: Decision) -> Report:
        return lambda metrics: decision if metrics.epoch == epoch else Decision.CONTINUE

    stopped = run_trial(trial, inputs, stop_at(EPOCHS + 1, Decision.STOP))
    assert (stopped.state, stopped.epochs) == (TrialState.RUNNING, EPOCHS + 1)
    assert run_trial(trial, inputs, go_on).state is TrialState.COMPLETE
    pruned = run_trial(replace(trial, number=5), inputs, stop_at(2, Decision.PRUNE))
    assert (pruned.state, pruned.epochs) == (TrialState.PRUNED, 2)
    assert [path.name for path in (tmp_path / "00005").iterdir()] == ["result.json"]


def test_finals_are_of_one_seed_each(
    tiny_study: "TinyStudy", trial: Trial, go_on: Report, tmp_path: Path
) -> None:
    final = replace(trial, arm=Arm.FINAL, contender="chosen", repetition=1)
    result = run_trial(final, several(tiny_study, tmp_path), go_on)
    assert result.epochs == EPOCHS


def test_a_later_seed_that_diverges_ends_the_trial_and_is_named() -> None:
    first = TrialResult(
        number=1, state=TrialState.COMPLETE, macro_auroc=0.8, epochs=3, wall_s=2, cpu_s=1
    )
    later = TrialResult(
        number=1, state=TrialState.DIVERGED, reason="epoch 2: the loss", epochs=1, wall_s=1, cpu_s=1
    )
    result = result_of_seeds([first, later])
    assert result.state is TrialState.DIVERGED
    assert result.reason == "seed 1: epoch 2: the loss"
    assert (result.epochs, result.wall_s, result.cpu_s) == (4, 3, 2)
    assert result_of_seeds([later]).reason == later.reason


def test_a_class_that_no_seed_can_score_has_no_mean() -> None:
    result = TrialResult(
        number=1,
        state=TrialState.COMPLETE,
        macro_auroc=0.8,
        per_class_auroc={"MI": 0.8, "HYP": math.nan},
    )
    assert math.isnan(result_of_seeds([result, result]).per_class_auroc["HYP"])
    assert result_of_seeds([result, result]).macro_auroc == 0.8
