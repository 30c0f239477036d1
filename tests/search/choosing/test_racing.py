from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from mvkt_ray.config.search_config import PrunerConfig
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.proposing import propose
from mvkt_ray.search.choosing.racing import ERROR_RATE, FIRST_LOOK, Look, Noise, Race
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.study import Study

if TYPE_CHECKING:
    from conftest import Lab

LEADS = ("I", "II", "V1", "V5")
WORST = "V1"
"""A quarter below the best in the made-up study; the sampler's luck is a few hundredths."""
NEVER = PrunerConfig(kind="none")


def noise_of(se: float) -> Noise:
    """Scores of all trials move by this standard error, half of its variance together."""

    def measure(numbers: Sequence[int]) -> NDArray[np.float64]:
        n = len(numbers)
        return se**2 * (0.5 * np.eye(n) + 0.5)

    return measure


N_BASELINES, N_SEARCH = 8, 16
EVEN = N_SEARCH // len(LEADS)


def raced(
    lab: "Lab",
    *,
    se: float = 0.008,
    resume: bool = False,
    url: str = "sqlite://",
    pruner: PrunerConfig = NEVER,
) -> Study:
    config = lab.config(
        leads=LEADS,
        n_trials=N_BASELINES + N_SEARCH,
        conditions="race",
        sampler="random",
        pruner=pruner,
    )
    return lab.open(config, resume=resume, url=url, noise=noise_of(se))


def dealt(study: Study, arm: Arm = Arm.SEARCH) -> Counter[str]:
    return Counter(record.condition for record in study.trials() if record.trial.arm is arm)


def records_of(values: Mapping[str, Sequence[float | None]]) -> list[TrialRecord]:
    """Search trials, dealt in turn; None for one that diverged."""
    records: list[TrialRecord] = []
    for turn in range(max(map(len, values.values()))):
        for name, column in values.items():
            number, value = len(records), column[turn]
            state = TrialState.DIVERGED if value is None else TrialState.COMPLETE
            records.append(
                TrialRecord(
                    trial=Trial(
                        number=number,
                        condition=Condition.from_name(name),
                        arm=Arm.SEARCH,
                        hyperparameters={},
                    ),
                    drawn={},
                    state=state,
                    result=TrialResult(number=number, state=state, macro_auroc=value),
                )
            )
    return records


def look_at(values: Mapping[str, Sequence[float | None]], se: float) -> Look:
    race = Race([Condition.from_name(name) for name in values], [], noise_of(se))
    look = race.take_look(records_of(values))
    assert look is not None
    return look


def test_a_lead_that_is_clearly_worse_stops_getting_trials_and_the_others_get_them(
    lab: "Lab",
) -> None:
    study = raced(lab)
    lab.run(study)
    stopped = {stop.condition for look in study.looks for stop in look.stopped}
    assert WORST in stopped
    assert "II" not in stopped
    counts = dealt(study)
    running = set(LEADS) - stopped
    assert counts[WORST] < EVEN
    assert max(counts[name] for name in running) - min(counts[name] for name in running) <= 1
    assert sum(counts.values()) == N_SEARCH


@pytest.mark.parametrize("pruner", [NEVER, PrunerConfig(min_epochs=1, reduction_factor=2)])
def test_no_lead_stops_before_its_baselines_and_three_trials_two_of_them_complete(
    lab: "Lab", pruner: PrunerConfig
) -> None:
    study = raced(lab, pruner=pruner)
    lab.run(study)
    stops = [(look, stop) for look in study.looks for stop in look.stopped]
    assert stops
    for look, stop in stops:
        own = [r for r in study.trials()[: look.at_trial] if r.condition == stop.condition]
        assert {record.trial.arm for record in own} == set(Arm) - {Arm.FINAL, Arm.ASSISTANT}
        assert all(record.state.is_finished for record in own)
        searched = [record.state for record in own if record.trial.arm is Arm.SEARCH]
        assert len(searched) >= FIRST_LOOK
        assert searched.count(TrialState.COMPLETE) >= 2


def test_equal_leads_share_all_trials_evenly(lab: "Lab") -> None:
    lab.curve = replace(lab.curve, lead_offsets=dict.fromkeys(LEADS, 0.8), noise=0.005)
    study = raced(lab)
    lab.run(study)
    assert study.looks
    assert all(not look.stopped for look in study.looks)
    assert set(dealt(study).values()) == {EVEN}


def test_nothing_stops_where_few_patients_could_explain_it(lab: "Lab") -> None:
    study = raced(lab, se=0.2)
    lab.run(study)
    assert study.looks
    assert set(dealt(study).values()) == {EVEN}


def test_balanced_studies_take_no_looks(lab: "Lab") -> None:
    study = lab.open(lab.config(leads=LEADS, n_trials=N_BASELINES + N_SEARCH), url="sqlite://")
    lab.run(study)
    assert study.looks == ()
    assert set(dealt(study).values()) == {EVEN}


def test_a_driver_killed_at_any_look_races_as_if_it_had_not_been(lab: "Lab") -> None:
    whole = raced(lab)
    lab.run(whole)
    assert whole.looks
    study = raced(lab, url=lab.url)
    for n_known in (N_BASELINES + 3, N_BASELINES + 12, N_BASELINES + 13):
        lab.run(study, until=lambda s=study, n=n_known: len(s.trials()) >= n)
        study.close()
        study = raced(lab, resume=True, url=lab.url)
    lab.run(study)
    assert study.looks == whole.looks
    assert lab.facts(study) == lab.facts(whole)


def test_a_driver_killed_between_a_look_and_the_trial_it_deals_goes_on_the_same(
    lab: "Lab", monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = raced(lab, url="sqlite://")
    lab.run(whole)
    killed = raced(lab, url=lab.url)
    with monkeypatch.context() as patch:
        patch.setattr("mvkt_ray.search.choosing.dealing.propose", _die_after_a_look(killed))
        with pytest.raises(KeyboardInterrupt):
            lab.run(killed)
    n_known = len(killed.trials())
    killed.close()
    again = raced(lab, resume=True, url=lab.url)
    assert len(again.looks) == 1
    assert again.looks[0].at_trial == n_known
    lab.run(again)
    assert again.looks == whole.looks
    assert lab.facts(again) == lab.facts(whole)


def _die_after_a_look(study: Study) -> Callable[..., object]:
    def propose_or_die(*arguments: Any, **options: Any) -> object:
        if study.looks:
            raise KeyboardInterrupt
        return propose(*arguments, **options)

    return propose_or_die


def test_who_looks_at_a_study_finds_why_a_lead_was_stopped(lab: "Lab") -> None:
    study = raced(lab, url=lab.url)
    lab.run(study)
    looks = lab.look(study.config).looks
    assert looks == study.looks
    stop = next(stop for look in looks for stop in look.stopped if stop.condition == WORST)
    records = study.trials()
    assert records[stop.trial].condition == WORST
    assert records[stop.trial].macro_auroc == stop.macro_auroc
    leader = looks[0]
    assert leader.leader_macro_auroc is not None
    assert stop.difference == leader.leader_macro_auroc - stop.macro_auroc
    assert stop.p <= leader.level / leader.n_rivals


def test_a_look_waits_for_the_trials_that_still_run(lab: "Lab") -> None:
    study = raced(lab)
    lab.run(study, until=lambda: len(study.trials()) == N_BASELINES + 4 * FIRST_LOOK - 1)
    slow = study.ask()
    assert slow is not None
    others = [study.ask() for _ in range(2)]
    assert study.looks == ()
    for trial in others:
        assert trial is not None
        lab.train(study, trial)
    assert study.ask() is not None
    assert study.looks == ()
    lab.train(study, slow)
    assert study.ask() is not None
    assert len(study.looks) == 1
    assert study.looks[0].n_compared == FIRST_LOOK


def test_the_order_in_which_trials_end_changes_no_look() -> None:
    values = {"II": [0.85, 0.86, 0.84, 0.9], "V1": [0.60, 0.62, 0.61, 0.95]}
    conditions = [Condition.from_name(name) for name in values]
    records = records_of(values)
    race = Race(conditions, [], noise_of(0.01))
    unfinished = replace(records[4], state=TrialState.RUNNING, result=None)
    assert race.take_look([*records[:4], unfinished, *records[5:]]) is None
    late = race.take_look(records)
    early = Race(conditions, [], noise_of(0.01)).take_look(records[:6])
    assert late is not None
    assert early is not None
    # Its fourth trial is none of the first three: that V1 has got better by then comes too late.
    assert [stop.condition for stop in late.stopped] == ["V1"]
    assert replace(late, at_trial=0) == replace(early, at_trial=0)


def test_a_stop_is_decided_by_the_numbers_one_gets_by_hand() -> None:
    look = look_at(
        {"II": [0.8, 0.859, 0.854], "V1": [0.71, 0.66, 0.72], "V5": [0.86, 0.7, 0.85]}, 0.01
    )
    assert (look.leader, look.leader_trial, look.leader_macro_auroc) == ("V5", 2, 0.86)
    assert look.level == ERROR_RATE / 2
    assert look.n_rivals == 2
    # Second best are 0.005, 0.01, 0.01 behind; two trials do not share half of 0.01 squared each.
    from_trials = 2 * (2 / 3) ** 2 * (0.005**2 + 0.01**2 + 0.01**2) / 3
    total = 0.01**2 + from_trials
    degrees = 1.5 * (total / from_trials) ** 2
    (stop,) = look.stopped or pytest.fail("V1 was not stopped")
    assert stop.condition == "V1"
    assert stop.validation_se == pytest.approx(0.01)
    assert stop.standard_error == pytest.approx(total**0.5)
    assert stop.p == pytest.approx(stats.t.sf(0.14 / total**0.5, degrees))


def test_every_look_spends_half_of_what_the_one_before_did() -> None:
    race = Race([Condition.from_name("II"), Condition.from_name("V1")], [], noise_of(0.01))
    values = {
        "II": [0.8 + i % 3 / 100 for i in range(12)],
        "V1": [0.8 + i % 2 / 90 for i in range(12)],
    }
    records = records_of(values)
    looks = [race.take_look(records), race.take_look(records), race.take_look(records)]
    assert [look.n_compared for look in looks if look] == [3, 6, 12]
    assert sum(look.level for look in looks if look) < ERROR_RATE
    assert race.take_look(records) is None


def test_a_lead_whose_trials_diverge_is_neither_stopped_nor_in_the_way() -> None:
    look = look_at(
        {"II": [0.86, 0.85, 0.86], "V1": [None, 0.8, None], "V5": [0.6, 0.61, 0.6]}, 0.01
    )
    assert [stop.condition for stop in look.stopped] == ["V5"]
    assert look.running == ("II", "V1")
    nothing = look_at({"II": [0.86, 0.85, 0.86], "V1": [None, 0.8, None]}, 0.01)
    assert nothing.leader is None
    assert nothing.running == ("II", "V1")


def test_one_lead_races_against_nobody() -> None:
    race = Race([Condition.from_name("II")], [], noise_of(0.01))
    assert race.take_look(records_of({"II": [0.8, 0.81, 0.82]})) is None
