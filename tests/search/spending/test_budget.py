"""Limits of a study: when nothing more is dealt, who is told to stop, and what a restart counts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mvkt_ray.config.resources import CostConfig, NodeTypeConfig, ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import (
    Decision,
    EpochMetrics,
    Reservation,
    TrialResult,
    TrialState,
    Usage,
)
from mvkt_ray.search.spending.budget import WRITE_EVERY_S, Budget, Limits
from mvkt_ray.search.spending.prices import PriceList, Spent
from mvkt_ray.slots import Node

if TYPE_CHECKING:
    from conftest import Lab

    from mvkt_ray.search.study import Study

NODE = Node(group="gpu", cpus=4, gpus=1)
COST = CostConfig(node_types={"gpu": NodeTypeConfig(price_per_hour=3.6, cpus=4, gpus=1)})
EPOCH_S = 100.0
"""A worker holds the whole node, so that an epoch costs 0.1 USD and 100 GPU seconds."""


def used(seconds: float, node: Node | None = NODE) -> Usage:
    return Usage(kept=(Reservation(node=node, cpus=1, gpus=1, worker_s=seconds),))


def budget(limits: Limits, before: Spent | None = None) -> Budget:
    return Budget(PriceList(COST), limits, before=before)


def run_side_by_side(study: "Study", lab: "Lab", n_at_once: int) -> dict[int, Decision]:
    """Train epoch by epoch, several trials at once, as long as there is anything to do.

    Returns what each trial was told last.
    """
    at: dict[int, int] = {}
    told: dict[int, Decision] = {}
    while True:
        while len(at) < n_at_once and (trial := study.ask()) is not None:
            at[trial.number] = 0
        if not at:
            return told
        for number in list(at):
            at[number] += 1
            epoch, trial = at[number], study.trials()[number].trial
            spent = used(EPOCH_S * epoch)
            value = lab.curve.at(trial, epoch)
            metrics = EpochMetrics(epoch=epoch, macro_auroc=value)
            told[number] = study.report(number, metrics, spent)
            ends: Mapping[Decision, TrialState] = {
                Decision.PRUNE: TrialState.PRUNED,
                Decision.STOP: TrialState.RUNNING,
            }
            state = ends.get(told[number])
            if state is None and epoch == study.config.student.epochs:
                state = TrialState.COMPLETE
            if state is not None:
                study.tell(
                    TrialResult(number=number, state=state, macro_auroc=value, epochs=epoch), spent
                )
                del at[number]


def test_a_later_seed_of_a_trial_is_stopped_as_the_first_is(lab: "Lab") -> None:
    study = lab.open(
        lab.config(baselines=(), seeds_per_trial=2), budget=budget(Limits(gpu_hours=1.0))
    )
    trial = study.ask()
    assert trial is not None
    spent = [used(1000.0)] * 8 + [used(4000.0)] * 4
    told = [
        study.report(trial.number, EpochMetrics(epoch=epoch, macro_auroc=None), usage)
        for epoch, usage in enumerate(spent, start=1)
    ]
    # The last of its epochs has nothing left to save.
    assert told == [Decision.CONTINUE] * 8 + [Decision.STOP] * 3 + [Decision.CONTINUE]


@pytest.mark.parametrize("n_at_once", [1, 3])
@pytest.mark.parametrize(
    ("limits", "unit"),
    [(Limits(money=1.0), EPOCH_S * 0.001), (Limits(gpu_hours=0.25), EPOCH_S / 3600)],
)
def test_a_limit_is_passed_by_at_most_an_epoch_of_each_running_trial(
    lab: "Lab", limits: Limits, unit: float, n_at_once: int
) -> None:
    study = lab.open(lab.config(), budget=budget(limits))
    told = run_side_by_side(study, lab, n_at_once)
    limit = limits.money or limits.gpu_hours
    spent = study.spent.money if limits.money else study.spent.gpu_s / 3600
    assert limit is not None
    assert limit <= spent <= limit + n_at_once * unit + 1e-9
    assert study.ask() is None
    assert "are spent" in study.stopped_by
    stopped = [number for number, decision in told.items() if decision is Decision.STOP]
    running = [record for record in study.trials() if record.state is TrialState.RUNNING]
    assert [record.number for record in running] == sorted(stopped)
    assert running
    assert all(record.result is None for record in running)


def test_a_study_that_was_stopped_comes_to_the_same_trials_with_more_to_spend(
    lab: "Lab", tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = type(lab)(tmp_path_factory.mktemp("whole"))
    whole.run(undisturbed := whole.open(whole.config()))
    config = lab.config()
    limit = 0.0
    for _ in range(100):
        limit += 0.55
        study = lab.open(config, resume=limit > 1, budget=budget(Limits(money=limit)))
        run_side_by_side(study, lab, 1)
        study.close()
        if not study.stopped_by:
            break
    assert limit > 2
    last = lab.look()
    assert [(r.trial, r.state, dict(r.values)) for r in last.trials()] == [
        (r.trial, r.state, dict(r.values)) for r in undisturbed.trials()
    ]


def test_what_was_spent_before_counts_over_restarts(lab: "Lab") -> None:
    limits = Limits(money=1.0)
    study = lab.open(lab.config(), budget=budget(limits))
    run_side_by_side(study, lab, 2)
    spent = study.spent
    study.close()
    again = lab.open(lab.config(), resume=True, budget=budget(limits))
    assert again.spent == spent
    assert again.ask() is None
    assert again.stopped_by
    again.close()
    looked_at = lab.open(lab.config(), resume=True, budget=budget(Limits(money=1.5)))
    assert not looked_at.stopped_by
    assert looked_at.ask() is not None


def test_the_teacher_counts(lab: "Lab") -> None:
    study = lab.open(
        lab.config(), budget=budget(Limits(money=1.0), before=Spent(gpu_s=60, money=1.01))
    )
    assert study.ask() is None
    assert study.stopped_by == "1.01 USD of 1 (--max-cost) are spent"


def test_a_trial_in_its_last_epoch_ends_as_it_would_have(lab: "Lab") -> None:
    study = lab.open(lab.config(), budget=budget(Limits(gpu_hours=0.1)))
    trial = study.ask()
    assert trial is not None
    last = study.config.student.epochs
    for epoch in range(1, last):
        metrics = EpochMetrics(epoch=epoch, macro_auroc=0.8)
        assert study.report(trial.number, metrics, used(1)) is Decision.CONTINUE
    metrics = EpochMetrics(epoch=last, macro_auroc=0.8)
    assert study.report(trial.number, metrics, used(4000)) is Decision.CONTINUE


def test_a_trial_is_stopped_after_an_epoch_without_a_score(lab: "Lab") -> None:
    study = lab.open(lab.config(), budget=budget(Limits(gpu_hours=0.1)))
    trial = study.ask()
    assert trial is not None
    unscored = EpochMetrics(epoch=1, macro_auroc=None)
    assert study.report(trial.number, unscored, used(1)) is Decision.CONTINUE
    assert study.report(trial.number, unscored, used(4000)) is Decision.STOP


def test_nothing_is_stopped_when_everything_has_ended(lab: "Lab") -> None:
    study = lab.open(lab.config(n_trials=4), budget=budget(Limits(money=0.1 * 6 * 4)))
    run_side_by_side(study, lab, 1)
    assert study.spent.money == pytest.approx(2.4)
    assert study.stopped_by == ""


def test_money_on_a_node_without_a_price_ends_a_search_that_must_not_pass_a_limit(
    lab: "Lab",
) -> None:
    study = lab.open(lab.config(), budget=budget(Limits(money=1.0)))
    trial = study.ask()
    assert trial is not None
    elsewhere = used(30, Node(group="new", cpus=2))
    metrics = EpochMetrics(epoch=1, macro_auroc=0.8)
    assert study.report(trial.number, metrics, elsewhere) is Decision.STOP
    assert "30 s on nodes that have no price" in study.stopped_by


def test_attempts_add_up_and_a_loss_is_counted_once(lab: "Lab") -> None:
    study = lab.open(lab.config())
    trial = study.ask()
    assert trial is not None
    number, lost = trial.number, used(7).kept
    study.report(number, EpochMetrics(epoch=1, macro_auroc=0.8), used(10))
    failure = TrialResult(number=number, state=TrialState.FAILED, reason="gone", retriable=True)
    first = Usage(kept=used(10).kept, lost=lost)
    study.tell(failure, first)
    study.tell(failure, first)  # told twice
    assert study.ask() == trial
    study.report(number, EpochMetrics(epoch=1, macro_auroc=0.8), used(3))
    study.tell(TrialResult(number=number, state=TrialState.COMPLETE, macro_auroc=0.8), used(5))
    expected = Usage(kept=used(15).kept, lost=lost)
    assert study.trials()[number].usage == expected
    assert study.spent.gpu_s == 22
    study.close()
    assert lab.look().trials()[number].usage == expected


def test_a_driver_that_dies_forgets_less_than_a_minute_of_each_trial(lab: "Lab") -> None:
    study = lab.open(lab.config())
    trial = study.ask()
    assert trial is not None
    for epoch in range(1, 6):
        metrics = EpochMetrics(epoch=epoch, macro_auroc=0.8)
        study.report(trial.number, metrics, used(25.0 * epoch))
        written = lab.look().trials()[trial.number].usage.worker_s
        assert 25.0 * epoch - WRITE_EVERY_S < written <= 25.0 * epoch


GPU_TRIALS = ResourcesConfig(trial=WorkersConfig(gpus_per_worker=1), cost=COST)
ON_CPUS = ResourcesConfig(cost=COST)
LARGE = WorkersConfig(cpus_per_worker=2)
ON_T4 = WorkersConfig(gpus_per_worker=0.4, accelerator_type="T4")
ON_T4_FOR_ONE_STUDENT = ResourcesConfig(
    trial=LARGE, teacher=LARGE, students={"xresnet1d18": ON_T4}, cost=COST
)
ONLY_FOR_A_STUDENT = Node(cpus=1, gpus=1, accelerator_type="T4")


@pytest.mark.parametrize(
    ("refuse", "said"),
    [
        (lambda: Limits(gpu_hours=2).check(ON_CPUS), "--max-gpu-hours 2 would never be reached"),
        (lambda: Limits(money=5).check(ResourcesConfig()), "--max-cost 5 needs prices"),
        (
            lambda: Limits(money=5).check_nodes([Node(cpus=2)], ON_CPUS),
            r"no price for a node \(2 CPUs, 0 GPUs\). Prices are known for gpu",
        ),
        (
            lambda: Limits(money=5).check_nodes([ONLY_FOR_A_STUDENT], ON_T4_FOR_ONE_STUDENT),
            r"no price for a node \(1 CPUs, 1 GPUs, T4\)",
        ),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(refuse: Callable[[], None], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        refuse()


def test_limits_that_can_be_kept_are_not_refused() -> None:
    # A head on which nothing can run needs no price.
    head = Node(group="head", cpus=0)
    Limits(money=5, gpu_hours=2).check(GPU_TRIALS)
    Limits(gpu_hours=2).check(ResourcesConfig(students={"xresnet1d18": GPU_TRIALS.trial}))
    Limits(money=5).check_nodes([head, NODE], GPU_TRIALS)
    Limits().check(ResourcesConfig())
    # Nothing of the study runs on GPUs of another type.
    Limits(money=5).check_nodes(
        [replace(ONLY_FOR_A_STUDENT, accelerator_type="A100")], ON_T4_FOR_ONE_STUDENT
    )
    Limits().check_nodes([head], ResourcesConfig())
