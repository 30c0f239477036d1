"""What is known of a trial survives being written as JSON, and files of before are read."""

import json
import math
import typing
from dataclasses import asdict, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.objectives import Objective
from mvkt_ray.records import (
    Arm,
    Condition,
    EpochMetrics,
    Reservation,
    Trial,
    TrialResult,
    TrialState,
    Usage,
    trial_folder_name,
)
from mvkt_ray.slots import Node

finite = st.floats(allow_nan=False, allow_infinity=False)
names = st.text(min_size=1, max_size=8)
hyperparameters = st.dictionaries(names, st.one_of(names, st.integers(), finite, st.booleans()))

trials = st.builds(
    Trial,
    number=st.integers(0, 10**6),
    condition=st.builds(Condition, leads=st.lists(names, min_size=1, max_size=3).map(tuple)),
    arm=st.sampled_from(Arm),
    hyperparameters=hyperparameters,
    repetition=st.integers(0, 9),
    contender=names,
)


def results(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[TrialResult]:
    return st.builds(
        TrialResult,
        number=st.integers(0, 10**6),
        state=st.sampled_from(TrialState),
        reason=st.text(max_size=20),
        macro_auroc=st.none() | finite,
        per_class_auroc=st.dictionaries(names, numbers, max_size=3),
        epochs=st.integers(0, 100),
        wall_s=finite,
        n_parameters=st.integers(0, 10**9),
        n_multiply_accumulates=st.integers(0, 10**12),
        latency_ms=st.none() | finite,
        retriable=st.booleans(),
    )


def epochs(numbers: st.SearchStrategy[float]) -> st.SearchStrategy[EpochMetrics]:
    return st.builds(
        EpochMetrics,
        epoch=st.integers(1, 100),
        macro_auroc=st.none() | finite,
        losses=st.dictionaries(names, numbers, max_size=3),
        train_s=finite,
        n_examples=st.integers(0, 10**6),
    )


usages = st.builds(
    Usage,
    kept=st.lists(
        st.builds(
            Reservation,
            node=st.none() | st.builds(Node, group=names, cpus=finite, gpus=finite),
            cpus=finite,
            gpus=finite,
            worker_s=finite,
        ),
        max_size=3,
    ).map(tuple),
)

with_nan = st.one_of(finite, st.just(math.nan))


def through_json(value: Any) -> Any:
    """Write as strict readers want it: NaN is no JSON."""
    return json.loads(json.dumps(value, allow_nan=False))


@settings(deadline=None)
@given(trials, results(with_nan), epochs(with_nan), usages)
def test_everything_comes_back_from_strict_json(
    trial: Trial, result: TrialResult, metrics: EpochMetrics, usage: Usage
) -> None:
    assert Trial.from_json(through_json(trial.to_json())) == trial
    assert Usage.from_json(through_json(usage.to_json())) == usage
    # NaN is not equal to itself, but its text is.
    assert repr(TrialResult.from_json(through_json(result.to_json()))) == repr(result)
    assert repr(EpochMetrics.from_json(through_json(metrics.to_json()))) == repr(metrics)


@settings(deadline=None)
@given(trials, results(finite), epochs(finite))
def test_what_is_written_is_what_was_written_before_there_was_a_codec(
    trial: Trial, result: TrialResult, metrics: EpochMetrics
) -> None:
    for each in (trial, result, metrics):
        assert json.dumps(each.to_json(), indent=2) == json.dumps(asdict(each), indent=2)


def test_a_result_of_a_ledger_and_one_of_an_early_file_are_read() -> None:
    in_ledger = json.loads(
        '{"number": 3, "state": "pruned", "reason": "after epoch 2", "macro_auroc": 0.7, '
        '"per_class_auroc": {"MI": null, "CD": 0.8}, "epochs": 2, "wall_s": 1.5, "cpu_s": 1.0, '
        '"n_parameters": 10, "node": "a", "retriable": false}'
    )
    result = TrialResult.from_json(in_ledger)
    assert result.state is TrialState.PRUNED
    assert math.isnan(result.per_class_auroc["MI"])
    in_file = {"number": 3, "state": "complete", "macro_auroc": 0.7, "per_class_auroc": {}}
    assert TrialResult.from_json(in_file) == TrialResult(
        number=3, state=TrialState.COMPLETE, macro_auroc=0.7
    )


def test_objectives_of_a_result_are_its_score_its_sizes_and_its_latency() -> None:
    result = TrialResult(
        number=0,
        state=TrialState.COMPLETE,
        macro_auroc=0.9,
        n_parameters=1200,
        n_multiply_accumulates=34_000,
    )
    known = {name: result.objective(name) for name in typing.get_args(Objective)}
    assert known == {
        "macro_auroc": 0.9,
        "parameters": 1200,
        "macs": 34_000,
        "latency_ms": None,
    }
    assert replace(result, latency_ms=0.5).objective("latency_ms") == 0.5


def test_folders_of_trials_sort_by_number() -> None:
    numbers = [0, 9, 10, 123, 99_999]
    assert sorted(map(trial_folder_name, numbers)) == [trial_folder_name(n) for n in numbers]
