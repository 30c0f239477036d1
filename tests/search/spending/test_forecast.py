"""The predicted cost: by hand, and exact where what is left is like what was."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.resources import CostConfig, NodeTypeConfig, ResourcesConfig, WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.records import Arm, Condition, Reservation, Trial, TrialResult, TrialState, Usage
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.forecast import Forecast, forecast
from mvkt_ray.slots import Node

NODE = Node(group="gpu", cpus=4, gpus=1)
HEAD = Node(group="head", cpus=0)
CONFIG = StudyConfig(
    name="f",
    student=StudentConfig(epochs=10),
    search=SearchConfig(n_trials=20),
    resources=ResourcesConfig(
        trial=WorkersConfig(gpus_per_worker=0.5),
        cost=CostConfig(node_types={"gpu": NodeTypeConfig(price_per_hour=2.0, cpus=4, gpus=1)}),
    ),
)


def record(epochs: int, s: float, state: TrialState = TrialState.COMPLETE) -> TrialRecord:
    trial = Trial(number=0, condition=Condition(leads=("II",)), arm=Arm.SEARCH, hyperparameters={})
    held = Reservation(node=NODE, cpus=1, gpus=0.5, worker_s=s)
    result = TrialResult(number=0, state=state, epochs=epochs)
    return TrialRecord(trial=trial, drawn={}, state=state, result=result, usage=Usage(kept=(held,)))


def predict(
    basis: list[TrialRecord],
    *,
    config: StudyConfig = CONFIG,
    nodes: tuple[Node, ...] = (HEAD, NODE, NODE),
    n_ended: int = 0,
    one_at_a_time: bool = False,
) -> Forecast | None:
    return forecast(
        config,
        n_ended=n_ended,
        basis=basis,
        basis_epochs=10,
        basis_name="an earlier study",
        nodes=nodes,
        one_at_a_time=one_at_a_time,
    )


def test_every_seed_of_a_trial_is_paid_for() -> None:
    basis = [record(10, 3600)]
    twice = replace(CONFIG, search=replace(CONFIG.search, seeds_per_trial=2))
    one, two = predict(basis), predict(basis, config=twice)
    assert one is not None
    assert two is not None
    assert two.worker_hours == 2 * one.worker_hours
    assert two.full_trial_s == 2 * one.full_trial_s


def test_by_hand() -> None:
    # 360 s an epoch; of 40 epochs 24 were trained.
    basis = [
        record(10, 3600),
        record(10, 3600),
        record(2, 720, TrialState.PRUNED),
        record(2, 720, TrialState.PRUNED),
        record(9, 1e9, TrialState.FAILED),
    ]
    found = predict(basis, n_ended=4)
    assert found is not None
    assert found.basis == "4 trials of an earlier study"
    assert (found.n_trials, found.full_trial_s, found.share) == (16, 3600, 0.6)
    assert found.worker_hours == pytest.approx(9.6)
    assert found.gpu_hours == pytest.approx(4.8)
    assert found.money == pytest.approx(9.6 * 1.0)  # half of a node at 2.0
    assert found.n_at_once == 4
    assert found.wall_s == pytest.approx(4 * 0.6 * 3600)


def test_one_after_the_other_takes_as_long_as_all_together() -> None:
    found = predict([record(10, 100)], one_at_a_time=True)
    assert found is not None
    assert (found.n_at_once, found.wall_s) == (1, 2000)


def test_no_more_run_at_once_than_the_study_allows() -> None:
    resources = replace(CONFIG.resources, max_concurrent_trials=3)
    found = predict([record(10, 100)], config=replace(CONFIG, resources=resources))
    assert found is not None
    assert found.n_at_once == 3


def studied(networks: tuple[str, ...], students: dict[str, WorkersConfig]) -> StudyConfig:
    space = {"student": ParameterConfig(choices=networks)}
    return replace(CONFIG, space=space, resources=replace(CONFIG.resources, students=students))


def test_networks_with_workers_of_their_own_are_predicted_as_the_dearest_and_slowest_of_them() -> (
    None
):
    large = WorkersConfig(cpus_per_worker=2, gpus_per_worker=1)
    found = predict(
        [record(10, 3600)],
        config=studied(("xresnet1d18", "sepconv1d_tiny"), {"xresnet1d18": large}),
    )
    assert found is not None
    # Two nodes hold two of the one and four of the other.
    assert found.n_at_once == 2
    assert found.worker_hours == pytest.approx(20)
    assert found.gpu_hours == pytest.approx(20)
    assert found.money == pytest.approx(20 * 2.0)
    assert found.wall_s == pytest.approx(10 * 3600)


def test_workers_that_no_trial_has_are_not_predicted() -> None:
    large = WorkersConfig(gpus_per_worker=1)
    basis = [record(10, 3600)]
    alone = predict(basis, config=studied(("xresnet1d18",), {"xresnet1d18": large}))
    assert alone == predict(
        basis, config=replace(CONFIG, resources=replace(CONFIG.resources, trial=large))
    )


def test_an_elastic_trial_takes_the_workers_that_there_is_room_for() -> None:
    resources = replace(CONFIG.resources, trial=WorkersConfig(workers=(1, 3)))
    found = predict([record(10, 3600)], config=replace(CONFIG, resources=resources))
    assert found is not None
    # Of eight CPUs two trials take three workers each, and a third the two that are left.
    assert found.n_at_once == 3
    assert found.full_trial_s == pytest.approx(3600 / 2)


@pytest.mark.parametrize("basis", [[], [record(9, 5, TrialState.FAILED)], [record(0, 5)]])
def test_without_a_trial_that_tells_anything_nothing_is_predicted(
    basis: list[TrialRecord],
) -> None:
    assert predict(basis) is None


def test_a_node_without_a_price_leaves_the_money_open() -> None:
    found = predict([record(10, 100)], nodes=(NODE, Node(cpus=3, gpus=1)))
    assert found is not None
    assert found.money is None
    assert found.gpu_hours > 0


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 1000)), min_size=20, max_size=20))
def test_the_basis_itself_is_predicted_exactly(trials: list[tuple[int, int]]) -> None:
    basis = [record(epochs, float(s)) for epochs, s in trials]
    found = predict(basis)
    assert found is not None
    seconds = sum(s for _, s in trials)
    assert found.worker_hours * 3600 == pytest.approx(seconds)
    assert found.money == pytest.approx(seconds / 3600)
