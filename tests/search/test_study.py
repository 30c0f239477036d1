import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvkt_ray.config.data_config import DataConfig
from mvkt_ray.config.objectives import Objective
from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.search_config import ParameterConfig, PrunerConfig
from mvkt_ray.errors import ArtifactError, ConfigError, MachineError, StaleArtifactError
from mvkt_ray.records import Arm, Decision, EpochMetrics, MeasuredPrecision, TrialResult, TrialState
from mvkt_ray.search.choosing.pruning import decision_epochs
from mvkt_ray.search.finals.front import front_of
from mvkt_ray.search.ranking import rank_leads
from mvkt_ray.search.same_study import extended, refuse_other_config
from mvkt_ray.search.study import Study

if TYPE_CHECKING:
    from conftest import Lab


def lost_worker(number: int) -> TrialResult:
    return TrialResult(
        number=number, state=TrialState.FAILED, reason="WorkerLostError: gone", retriable=True
    )


def test_the_same_study_and_seed_give_the_same_trials(lab: "Lab") -> None:
    config = lab.config()
    first = lab.open(config)
    lab.run(first)
    second = lab.open(config, url="sqlite://")
    lab.run(second)
    assert lab.facts(first) == lab.facts(second)
    assert len({str(r.trial.hyperparameters) for r in first.trials()}) == 2 + 10
    other = lab.open(replace(config, seed=8), url="sqlite://")
    lab.run(other)
    assert lab.facts(first) != lab.facts(other)


def test_a_study_keeps_the_precision_that_was_measured_when_it_began(lab: "Lab") -> None:
    began = {"xresnet1d18": MeasuredPrecision(chosen="bf16", float32_ms=2.0, bf16_ms=1.0)}
    study = lab.open(lab.config(), precisions=lambda: began)
    assert study.cpu_precision == {"xresnet1d18": "bf16"}
    study.close()

    def measure_again() -> dict[str, MeasuredPrecision]:
        pytest.fail("a study that goes on elsewhere must not be measured again")

    assert lab.open(lab.config(), resume=True, precisions=measure_again).cpu_precision == {
        "xresnet1d18": "bf16"
    }
    assert lab.look().cpu_precision == {"xresnet1d18": "bf16"}


def test_baselines_come_first_for_every_lead_and_train_to_the_end(lab: "Lab") -> None:
    study = lab.open(lab.config())
    lab.run(study)
    records = study.trials()
    dealt = [(record.trial.arm, record.condition) for record in records]
    assert dealt[:4] == [
        (Arm.STUDENT_ALONE, "II"),
        (Arm.STUDENT_ALONE, "V1"),
        (Arm.PLAIN_KD, "II"),
        (Arm.PLAIN_KD, "V1"),
    ]
    assert all(arm is Arm.SEARCH for arm, _ in dealt[4:])
    assert all(record.state is TrialState.COMPLETE for record in records[:4])
    assert any(record.state is TrialState.PRUNED for record in records[4:])


@given(
    n_leads=st.integers(1, 4),
    n_search=st.integers(0, 14),
    outcomes=st.lists(st.sampled_from(["complete", "failed", "running"]), min_size=1, max_size=7),
)
@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_trials_are_dealt_evenly_whatever_becomes_of_them(
    lab: "Lab", n_leads: int, n_search: int, outcomes: list[str]
) -> None:
    leads = ("I", "II", "V1", "V5")[:n_leads]
    n_trials = 2 * n_leads + n_search
    config = lab.config(leads=leads, n_trials=n_trials, sampler="random", stop_after_failures=None)
    study = lab.open(config, url="sqlite://")
    while (trial := study.ask()) is not None:
        outcome = outcomes[trial.number % len(outcomes)]
        if outcome == "complete":
            lab.train(study, trial)
        elif outcome == "failed":
            study.tell(TrialResult(number=trial.number, state=TrialState.FAILED, reason="x: y"))
        counts = Counter({lead: 0 for lead in leads})
        counts.update(record.condition for record in study.trials())
        assert max(counts.values()) - min(counts.values()) <= 1
    assert [record.number for record in study.trials()] == list(range(n_trials))


def test_every_hyperparameter_of_a_trial_is_written_down_and_read_back(lab: "Lab") -> None:
    config = lab.config()
    study = lab.open(config)
    lab.run(study)
    again = lab.open(config, resume=True)
    for before, after in zip(study.trials(), again.trials(), strict=True):
        assert before.trial == after.trial
        assert before.drawn == after.drawn
        assert before.result is not None
        assert after.result is not None
        assert before.result.wall_s == after.result.wall_s
        assert math.isnan(after.result.per_class_auroc["HYP"])


def test_a_study_in_use_is_refused_without_resume(lab: "Lab") -> None:
    lab.open(lab.config())
    with pytest.raises(ArtifactError, match=r"in use: it holds the study 'lab'.*--resume"):
        lab.open(lab.config())


def test_resuming_another_study_is_refused_with_the_keys_that_differ(lab: "Lab") -> None:
    config = lab.config()
    lab.open(config)
    other = replace(
        lab.config(sampler="random"), data=DataConfig(sampling_rate_hz=500), seed=config.seed + 1
    )
    with pytest.raises(StaleArtifactError) as caught:
        lab.open(other, resume=True)
    message = str(caught.value)
    assert "data.sampling_rate_hz (was 100, is 500)" in message
    assert "search.sampler (was 'tpe', is 'random')" in message
    assert "seed (was 7, is 8)" in message


def test_a_configuration_is_compared_before_anything_is_opened(lab: "Lab") -> None:
    config = lab.config()
    refuse_other_config(lab.config(n_trials=99, max_retries=0), config)
    curves = replace(config.student, validate="every_epoch")
    refuse_other_config(replace(config, student=curves), config)
    with pytest.raises(StaleArtifactError, match=r"seed \(was 7, is 8\)"):
        refuse_other_config(replace(config, seed=8), config)


def test_resuming_with_other_data_is_refused(lab: "Lab") -> None:
    lab.open(lab.config(), inputs={"shards": "a" * 64})
    with pytest.raises(StaleArtifactError, match=r"shards aaaaaaaaaaaa.*shards bbbbbbbbbbbb"):
        lab.open(lab.config(), resume=True, inputs={"shards": "b" * 64})


def test_a_study_is_extended_as_if_it_had_been_that_long_from_the_start(lab: "Lab") -> None:
    short = lab.open(lab.config(n_trials=9))
    lab.run(short)
    longer = replace(
        lab.config(n_trials=14),
        resources=ResourcesConfig(trial=WorkersConfig(cpus_per_worker=2), max_concurrent_trials=3),
    )
    resumed = lab.open(longer, resume=True)
    lab.run(resumed)
    whole = lab.open(lab.config(n_trials=14), url="sqlite://")
    lab.run(whole)
    assert lab.facts(resumed) == lab.facts(whole)


def test_a_grid_has_no_more_trials_than_its_points(lab: "Lab") -> None:
    with pytest.raises(ConfigError, match=r"every point of a grid.*none can be added"):
        extended(lab.config(sampler="grid"), 1)


def lose_until_aside(study: Study) -> int:
    """Lose the next trial as often as it is given out, and return its number."""
    trial = study.ask()
    assert trial is not None
    for _ in range(study.config.search.max_retries):
        study.tell(lost_worker(trial.number))
        study.tell(lost_worker(trial.number))  # told twice, counted once
        assert study.ask() == trial
    study.tell(lost_worker(trial.number))
    return trial.number


def complete(number: int) -> TrialResult:
    return TrialResult(number=number, state=TrialState.COMPLETE, macro_auroc=0.5)


def complete_next(study: Study) -> int:
    trial = study.ask()
    assert trial is not None
    study.tell(complete(trial.number))
    return trial.number


def test_a_trial_that_is_lost_again_and_again_fails_when_others_end(lab: "Lab") -> None:
    study = lab.open(lab.config(max_retries=2))
    number = lose_until_aside(study)
    assert study.trials()[number].state is TrialState.RUNNING
    assert complete_next(study) == 1
    again = study.ask()
    assert again is not None
    assert again.number == number
    study.tell(lost_worker(number))
    record = study.trials()[number]
    assert record.state is TrialState.FAILED
    assert record.failures == ("WorkerLostError: gone",) * 3
    assert complete_next(study) == 2


def test_a_trial_whose_node_is_taken_back_goes_on_however_often_and_has_not_failed(
    lab: "Lab",
) -> None:
    study = lab.open(lab.config(max_retries=0))
    trial = study.ask()
    assert trial is not None
    taken = replace(lost_worker(trial.number), preempted=True)
    for _ in range(4):
        study.tell(taken)
        study.tell(taken)  # told twice, dealt once
        assert study.ask() == trial
    [record] = study.trials()
    assert (record.state, record.failures) == (TrialState.RUNNING, ())


@given(killers=st.sets(st.integers(0, 5)), max_retries=st.integers(0, 2))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_trial_fails_by_its_lost_workers_only_if_it_is_what_kills_them(
    lab: "Lab", killers: set[int], max_retries: int
) -> None:
    """Whichever trials kill their workers: no other fails, and none where every worker dies."""
    config = lab.config(n_trials=6, baselines=(), max_retries=max_retries, sampler="random")
    study = lab.open(config, url="sqlite://")
    stopped = False
    try:
        while (trial := study.ask()) is not None:
            lost = trial.number in killers
            study.tell(lost_worker(trial.number) if lost else complete(trial.number))
    except MachineError:
        stopped = True
    failed = {r.number for r in study.trials() if r.state is TrialState.FAILED}
    assert failed <= killers
    if killers == set(range(6)):
        assert stopped
        assert not failed
    if not stopped:
        assert failed == killers
        assert all(record.state.is_finished for record in study.trials())


def test_a_study_that_lost_every_trial_stops_and_can_be_gone_on_with(lab: "Lab") -> None:
    config = lab.config(max_retries=1)
    study = lab.open(config)
    assert [lose_until_aside(study) for _ in range(2)] == [0, 1]
    with pytest.raises(MachineError, match=r"trials 0, 1 and 2 .*WorkerLostError: gone.*--resume"):
        lose_until_aside(study)
    assert {record.state for record in study.trials()} == {TrialState.RUNNING}
    study.close()
    again = lab.open(config, resume=True)
    # Others first: one that kills its workers must not stop the study for ever.
    assert complete_next(again) == 3
    assert [complete_next(again) for _ in range(3)] == [0, 1, 2]


def test_the_last_trial_of_a_study_fails_when_others_had_ended_before_it(lab: "Lab") -> None:
    config = lab.config(n_trials=2, baselines=(), max_retries=0)
    study = lab.open(config)
    assert complete_next(study) == 0
    assert lose_until_aside(study) == 1
    assert study.ask() is None
    assert study.trials()[1].state is TrialState.FAILED


def test_a_study_of_which_nothing_ends_is_no_study_whose_trials_failed(lab: "Lab") -> None:
    study = lab.open(lab.config(n_trials=1, baselines=(), max_retries=0))
    lose_until_aside(study)
    with pytest.raises(MachineError, match="trial 0 was lost"):
        study.ask()
    assert study.trials()[0].state is TrialState.RUNNING


def test_a_failure_that_would_come_again_is_not_retried(lab: "Lab") -> None:
    study = lab.open(lab.config())
    trial = study.ask()
    assert trial is not None
    study.tell(TrialResult(number=trial.number, state=TrialState.DIVERGED, reason="loss is NaN"))
    record = lab.open(lab.config(), resume=True).trials()[trial.number]
    assert record.state is TrialState.DIVERGED
    assert record.result is not None
    assert record.result.reason == "loss is NaN"


def test_what_was_running_is_given_out_first_once_each_with_its_own_hyperparameters(
    lab: "Lab",
) -> None:
    study = lab.open(lab.config())
    running = [study.ask() for _ in range(3)]
    again = lab.open(lab.config(), resume=True)
    assert [again.ask() for _ in range(3)] == running
    fourth = again.ask()
    assert fourth is not None
    assert fourth.number == 3


def test_results_and_reports_told_twice_change_nothing(lab: "Lab") -> None:
    study = lab.open(lab.config())
    lab.run(study)
    before = lab.facts(study)
    for record in study.trials():
        assert record.result is not None
        study.tell(replace(record.result, macro_auroc=0.1, state=TrialState.COMPLETE))
        for epoch in record.values:
            is_end = record.state is TrialState.PRUNED and epoch == record.last_epoch
            expected = Decision.PRUNE if is_end else Decision.CONTINUE
            metrics = EpochMetrics(epoch=epoch, macro_auroc=0.99)
            assert study.report(record.number, metrics) is expected
    assert lab.facts(study) == before


def test_scored_only_where_its_pruner_decides_a_study_has_the_same_trials(lab: "Lab") -> None:
    pruner = PrunerConfig(min_epochs=2, reduction_factor=2)
    config = lab.config(n_trials=16, n_startup_trials=4, pruner=pruner)
    every, some = (lab.open(config, url="sqlite://") for _ in range(2))
    lab.run(every)
    told = decision_epochs(pruner, config.student.epochs)
    lab.run(some, scored=told)
    for record, full in zip(lab.facts(some), lab.facts(every), strict=True):
        assert record.values == {e: value for e, value in full.values.items() if e in told}
        assert record.last_epoch == full.last_epoch
        assert replace(record, values=full.values, unscored_epoch=0) == full


def test_epochs_without_a_score_are_counted_and_told_twice_change_nothing(lab: "Lab") -> None:
    study = lab.open(lab.config())
    trial = study.ask()
    assert trial is not None
    unscored = [EpochMetrics(epoch=epoch, macro_auroc=None) for epoch in (1, 2)]
    assert [study.report(trial.number, each) for each in unscored] == [Decision.CONTINUE] * 2
    assert lab.facts(lab.look()) == lab.facts(study)
    resumed = lab.open(lab.config(), resume=True)
    assert resumed.ask() == trial
    before = lab.ledger_bytes()
    assert resumed.report(trial.number, unscored[0]) is Decision.CONTINUE
    assert lab.ledger_bytes() == before
    [record] = resumed.trials()
    assert (record.last_epoch, dict(record.values)) == (2, {})


def test_no_new_trial_is_dealt_after_the_deadline_but_lost_ones_are_ended(lab: "Lab") -> None:
    study = lab.open(lab.config())
    trial = study.ask()
    late = lab.open(lab.config(), resume=True, deadline_s=0.0)
    assert late.ask() == trial
    assert late.ask() is None


def test_looking_at_a_study_does_not_change_it(lab: "Lab") -> None:
    study = lab.open(lab.config())
    lab.run(study, until=lambda: len(study.trials()) > 6)
    before = lab.ledger_bytes()
    seen = lab.look()
    assert lab.facts(seen) == lab.facts(study)
    assert seen.n_trials == 14
    assert [condition.name for condition in seen.conditions] == ["II", "V1"]
    assert lab.ledger_bytes() == before


def test_looking_at_a_study_that_is_not_there_is_refused_and_leaves_no_file(lab: "Lab") -> None:
    with pytest.raises(ArtifactError, match="holds no study 'lab'"):
        lab.look()
    assert list(lab.folder.iterdir()) == []


def test_a_rerun_stops_where_the_trial_was_pruned(lab: "Lab") -> None:
    study = lab.open(lab.config())
    pruned = TrialResult(number=3, state=TrialState.PRUNED, epochs=2)
    complete = TrialResult(number=4, state=TrialState.COMPLETE, epochs=2)
    metrics = [EpochMetrics(epoch=epoch, macro_auroc=0.5) for epoch in (1, 2)]
    assert [study.stop_at(pruned)(m) for m in metrics] == [Decision.CONTINUE, Decision.PRUNE]
    assert [study.stop_at(complete)(m) for m in metrics] == [Decision.CONTINUE] * 2


def test_optuna_reads_the_ledger_as_its_own(lab: "Lab") -> None:
    study = lab.open(lab.config(pruner=PrunerConfig(min_epochs=1, reduction_factor=2)))
    lab.run(study)
    theirs = optuna.load_study(study_name="lab", storage=lab.url)
    for record, trial in zip(study.trials(), theirs.trials, strict=True):
        assert trial.params["lead"] == record.condition
        assert trial.intermediate_values == record.values
        assert trial.state.name == record.state.name
        assert trial.user_attrs["hyperparameters"] == record.trial.hyperparameters
    best = max(r.macro_auroc for r in study.trials() if r.macro_auroc is not None)
    assert theirs.best_value == best


def test_optuna_finds_the_front_of_a_study_with_several_objectives(lab: "Lab") -> None:
    objectives: tuple[Objective, ...] = ("macro_auroc", "parameters", "macs")
    study = lab.open(lab.config(objectives=objectives, n_trials=24))
    lab.run(study)
    theirs = optuna.load_study(study_name="lab", storage=lab.url)
    assert [direction.name for direction in theirs.directions] == [
        "MAXIMIZE",
        "MINIMIZE",
        "MINIMIZE",
    ]
    assert theirs.metric_names == list(objectives)
    records = study.trials()
    assert TrialState.PRUNED in {record.state for record in records}
    for record, trial in zip(records, theirs.trials, strict=True):
        assert trial.state.name == record.state.name
        assert trial.intermediate_values == record.values
        assert record.result is not None
        if record.state is TrialState.COMPLETE:
            assert trial.values == [record.result.objective(name) for name in objectives]
        else:
            assert trial.values is None
    complete = [record for record in records if record.macro_auroc is not None]
    front = {record.number for record in front_of(complete, objectives)}
    # Of equal trials, such as baselines of one temperature, Optuna has all.
    assert front <= {trial.number for trial in theirs.best_trials}


def test_pruning_and_ranking_go_by_the_score_whatever_the_objectives(lab: "Lab") -> None:
    by_score = lab.open(lab.config(sampler="random"))
    lab.run(by_score)
    objectives: tuple[Objective, ...] = ("macro_auroc", "parameters")
    by_both = lab.open(lab.config(sampler="random", objectives=objectives), url="sqlite://")
    lab.run(by_both)
    assert lab.facts(by_both) == lab.facts(by_score)
    assert [rank.best for rank in rank_leads(by_both)] != [None, None]
    assert [each.condition for each in rank_leads(by_both)] == [
        each.condition for each in rank_leads(by_score)
    ]


def test_a_study_begun_for_one_objective_is_not_gone_on_with_for_several(lab: "Lab") -> None:
    lab.open(lab.config())
    both = lab.config(objectives=("macro_auroc", "parameters"))
    with pytest.raises(StaleArtifactError, match=r"search\.objectives \(was \['macro_auroc'\]"):
        lab.open(both, resume=True)


def test_a_grid_gives_every_lead_every_point_once_and_then_ends(lab: "Lab") -> None:
    rows = {
        "distill_temperature": ParameterConfig(low=1.0, high=4.0, step=1.5),
        "negatives": ParameterConfig(choices=("disjoint", "any")),
    }
    config = replace(lab.config(sampler="grid", n_trials=50), space=rows)
    study = lab.open(config)
    assert study.n_trials == 2 * 2 + 2 * 6
    lab.run(study)
    searched = [r for r in study.trials() if r.trial.arm is Arm.SEARCH]
    of_lead = [[r.drawn for r in searched if r.condition == lead] for lead in ("II", "V1")]
    assert of_lead[0] == of_lead[1]
    points = {(each["distill_temperature"], each["negatives"]) for each in of_lead[0]}
    assert points == {(t, n) for t in (1.0, 2.5, 4.0) for n in ("disjoint", "any")}
    assert len(study.trials()) == study.n_trials
    other = lab.open(replace(config, seed=8), url="sqlite://")
    lab.run(other)
    assert [r.drawn for r in other.trials()] != [r.drawn for r in study.trials()]
