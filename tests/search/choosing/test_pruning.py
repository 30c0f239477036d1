import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.search_config import PrunerConfig
from mvkt_ray.records import Arm, Condition, Decision, Trial, TrialState
from mvkt_ray.search.choosing.pruning import Pruning, decision_epochs
from mvkt_ray.search.ledger.trial_record import TrialRecord

if TYPE_CHECKING:
    from conftest import Lab

Kind = Literal["successive_halving", "hyperband"]
AnyKind = Literal["successive_halving", "hyperband", "none"]
EPOCHS = 9


class Race:
    """Trials in one pruner, with what a study would remember of them."""

    def __init__(self, pruner: PrunerConfig, epochs: int = EPOCHS) -> None:
        self.pruning = Pruning(pruner, epochs=epochs, study_name="race")
        self.config, self.epochs = pruner, epochs
        self.records: list[TrialRecord] = []

    def enter(self, condition: str, arm: Arm = Arm.SEARCH) -> int:
        number = len(self.records)
        trial = Trial(
            number=number, condition=Condition(leads=(condition,)), arm=arm, hyperparameters={}
        )
        record = TrialRecord(trial=trial, drawn={}, state=TrialState.RUNNING)
        self.records.append(record)
        self.pruning.enter(record)
        return number

    def report(self, number: int, epoch: int, value: float) -> Decision:
        record = self.records[number]
        verdict = self.pruning.judge(record, epoch, value)
        values = {**record.values, epoch: value}
        self.records[number] = replace(record, values=values, pruner_memory=verdict.memory)
        return verdict.decision

    def run(self, condition: str, values: list[float], arm: Arm = Arm.SEARCH) -> int:
        """Run a trial along a curve; return the epochs it got."""
        number = self.enter(condition, arm)
        for epoch, value in enumerate(values, start=1):
            if self.report(number, epoch, value) is Decision.PRUNE:
                return epoch
        return len(values)

    def reopen(self) -> None:
        self.pruning = Pruning(self.config, epochs=self.epochs, study_name="race")
        for record in self.records:
            self.pruning.enter(record)


def flat(value: float) -> list[float]:
    return [value] * EPOCHS


def test_a_worse_trial_stops_at_the_first_rung_and_a_better_one_goes_on() -> None:
    race = Race(PrunerConfig(min_epochs=3, reduction_factor=3))
    assert race.run("II", flat(0.80)) == EPOCHS
    assert race.run("II", flat(0.70)) == 3
    assert race.run("II", flat(0.90)) == EPOCHS


def test_a_lead_that_shows_less_is_not_pruned_by_one_that_shows_more() -> None:
    race = Race(PrunerConfig(min_epochs=1, reduction_factor=2))
    for value in (0.90, 0.91, 0.92):
        assert race.run("II", flat(value)) == EPOCHS
    for value in (0.50, 0.51, 0.52):
        assert race.run("V1", flat(value)) == EPOCHS
    assert race.run("V1", flat(0.40)) == 1
    assert race.run("II", flat(0.60)) == 1


def test_baselines_are_never_pruned_and_prune_nobody() -> None:
    race = Race(PrunerConfig(min_epochs=1, reduction_factor=2))
    assert race.run("II", flat(0.99), Arm.STUDENT_ALONE) == EPOCHS
    assert race.run("II", flat(0.50)) == EPOCHS
    assert race.run("II", flat(0.10), Arm.PLAIN_KD) == EPOCHS


def test_a_trial_is_not_stopped_after_its_last_epoch() -> None:
    # Rungs at epochs 3 and 9, the latter being the last.
    race = Race(PrunerConfig(min_epochs=3, reduction_factor=3))
    assert race.run("II", [0.5, 0.5, 0.80, 0.8, 0.8, 0.8, 0.8, 0.8, 0.9]) == EPOCHS
    number = race.enter("II")
    decisions = [race.report(number, epoch, 0.85) for epoch in range(1, 9)]
    assert decisions == [Decision.CONTINUE] * 8
    assert race.report(number, 9, 0.1) is Decision.CONTINUE


def test_a_trial_whose_score_is_not_a_number_stops_at_the_rung() -> None:
    race = Race(PrunerConfig(min_epochs=2, reduction_factor=2))
    race.run("II", flat(0.8))
    assert race.run("II", [0.8, math.nan, 0.9]) == 2


def test_without_a_pruner_everything_runs_to_the_end() -> None:
    race = Race(PrunerConfig(kind="none", min_epochs=1))
    for value in (0.9, 0.1, 0.2):
        assert race.run("II", flat(value)) == EPOCHS


def test_hyperband_has_several_brackets_inside_a_condition() -> None:
    # min 1 of 9 epochs, factor 3: brackets with first rungs at epochs 1, 3 and 9. The last one
    # never prunes, as epoch 9 is the end.
    race = Race(PrunerConfig(kind="hyperband", min_epochs=1, reduction_factor=3))
    lengths = {
        condition: [race.run(condition, flat(1 - 0.01 * i)) for i in range(60)]
        for condition in ("II", "V1")
    }
    for ended in lengths.values():
        assert set(ended) == {1, 3, EPOCHS}
    # Each condition has its own deal of brackets.
    assert lengths["II"] != lengths["V1"]


curves = st.lists(
    st.tuples(
        st.sampled_from(["II", "V1"]),
        st.lists(st.integers(0, 20), min_size=EPOCHS, max_size=EPOCHS),
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.parametrize("kind", ["successive_halving", "hyperband"])
@given(trials=curves, factor=st.integers(2, 3))
@settings(max_examples=25)
def test_decisions_are_those_of_optunas_own_pruner_on_a_study_of_the_condition(
    kind: Kind, trials: list[tuple[str, list[int]]], factor: int
) -> None:
    race = Race(PrunerConfig(kind=kind, min_epochs=1, reduction_factor=factor))
    ours = [race.run(condition, [v / 20 for v in values]) for condition, values in trials]
    theirs = dict[int, int]()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for condition in ("II", "V1"):
        study = optuna.create_study(
            study_name=f"race/{condition}",
            direction="maximize",
            pruner=_optunas(kind, factor),
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        for index, (own, values) in enumerate(trials):
            if own == condition:
                theirs[index] = _run_with_optuna(study, [v / 20 for v in values])
    assert ours == [theirs[index] for index in range(len(trials))]


@pytest.mark.parametrize(
    ("kind", "min_epochs", "factor", "epochs", "expected"),
    [
        ("successive_halving", 4, 2, 15, {4, 8, 15}),
        ("successive_halving", 3, 3, 9, {3, 9}),
        ("successive_halving", 9, 3, 5, {5}),
        ("hyperband", 1, 3, 10, {1, 3, 9, 10}),
        ("none", 1, 2, 10, {10}),
    ],
)
def test_a_pruner_decides_at_its_rungs(
    kind: AnyKind, min_epochs: int, factor: int, epochs: int, expected: set[int]
) -> None:
    pruner = PrunerConfig(kind=kind, min_epochs=min_epochs, reduction_factor=factor)
    assert decision_epochs(pruner, epochs) == expected


pruners = st.builds(
    PrunerConfig,
    kind=st.sampled_from(["successive_halving", "hyperband", "none"]),
    min_epochs=st.integers(1, 12),
    reduction_factor=st.integers(2, 4),
)
scores = st.one_of(st.integers(0, 20).map(lambda v: v / 20), st.just(math.nan))


@given(st.data(), pruners, st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_fed_at_its_decision_epochs_alone_a_pruner_decides_as_fed_at_every_epoch(
    data: st.DataObject, pruner: PrunerConfig, epochs: int
) -> None:
    told = decision_epochs(pruner, epochs)
    everything, some = Race(pruner, epochs), Race(pruner, epochs)
    for condition in data.draw(st.lists(st.sampled_from(["II", "V1"]), max_size=10)):
        number = everything.enter(condition)
        assert some.enter(condition) == number
        curve = data.draw(st.lists(scores, min_size=epochs, max_size=epochs))
        for epoch, value in enumerate(curve, start=1):
            decision = everything.report(number, epoch, value)
            if epoch in told:
                assert some.report(number, epoch, value) is decision
            else:
                assert decision is Decision.CONTINUE
            if decision is Decision.PRUNE:
                break
    for record, other in zip(everything.records, some.records, strict=True):
        assert str(record.pruner_memory) == str(other.pruner_memory)


def _optunas(kind: Kind, factor: int) -> optuna.pruners.BasePruner:
    if kind == "hyperband":
        return optuna.pruners.HyperbandPruner(
            min_resource=1, max_resource=EPOCHS, reduction_factor=factor
        )
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=factor)


def _run_with_optuna(study: optuna.Study, values: list[float]) -> int:
    trial = study.ask()
    for epoch, value in enumerate(values, start=1):
        trial.report(value, epoch)
        if epoch < EPOCHS and trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return epoch
    study.tell(trial, values[-1])
    return EPOCHS


@pytest.mark.parametrize("kind", ["successive_halving", "hyperband"])
@given(trials=curves)
@settings(max_examples=15)
def test_a_pruner_made_anew_before_every_report_decides_the_same(
    kind: Kind, trials: list[tuple[str, list[int]]]
) -> None:
    config = PrunerConfig(kind=kind, min_epochs=1, reduction_factor=2)
    kept, reopened = Race(config), Race(config)
    for condition, values in trials:
        numbers = (kept.enter(condition), reopened.enter(condition))
        for epoch, value in enumerate(values, start=1):
            reopened.reopen()
            decision = kept.report(numbers[0], epoch, value / 20)
            assert reopened.report(numbers[1], epoch, value / 20) is decision
            if decision is Decision.PRUNE:
                break


def test_a_bad_lead_keeps_its_own_best_trials_in_a_study(lab: "Lab") -> None:
    # V1 is a quarter below II here, whatever the hyper-parameters.
    study = lab.open(lab.config(n_trials=24, sampler="random"))
    lab.run(study)
    complete: dict[str, list[Any]] = {"II": [], "V1": []}
    for record in study.trials():
        if record.trial.arm is Arm.SEARCH and record.state is TrialState.COMPLETE:
            complete[record.condition].append(record)
    assert len(complete["V1"]) >= 2
    assert len(complete["II"]) >= 2
