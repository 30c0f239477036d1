"""What a prediction rests on: the study's own trials once one is complete, else a similar study."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import SearchConfig
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.forecast import Forecast
from mvkt_ray.search.spending.prediction import SimilarStudy, predict
from mvkt_ray.slots import Node

CONFIG = StudyConfig(name="p", student=StudentConfig(epochs=4), search=SearchConfig(n_trials=50))
STATES = st.sampled_from(list(TrialState))


def record(number: int, state: TrialState) -> TrialRecord:
    condition = Condition(leads=("II",))
    trial = Trial(number=number, condition=condition, arm=Arm.SEARCH, hyperparameters={})
    result = TrialResult(number=number, state=state, epochs=4, wall_s=100.0)
    ended = result if state.is_finished else None
    return TrialRecord(trial=trial, drawn={}, state=state, result=ended)


SIMILAR = SimilarStudy(
    name="/runs/before",
    n_epochs=4,
    trials=tuple(record(number, TrialState.COMPLETE) for number in range(3)),
)


def outlook(trials: list[TrialRecord], similar: SimilarStudy | None) -> Forecast | None:
    nodes = (Node(cpus=4),)
    return predict(CONFIG, trials, similar, nodes=nodes, one_at_a_time=True)


@given(st.lists(STATES, max_size=12), st.booleans())
def test_it_rests_on_own_trials_once_one_is_complete_and_counts_those_that_have_not_ended(
    states: list[TrialState], has_similar: bool
) -> None:
    trials = [record(number, state) for number, state in enumerate(states)]
    found = outlook(trials, SIMILAR if has_similar else None)
    n_ended = sum(state.is_finished for state in states)
    if TrialState.COMPLETE in states:
        assert found is not None
        assert found.basis.endswith(" trials of this study")
    elif has_similar:
        assert found is not None
        assert found.basis == "3 trials of /runs/before"
    else:
        assert found is None
    assert found is None or found.n_trials == CONFIG.search.n_trials - n_ended


def test_a_similar_study_without_a_trial_that_ended_gives_none() -> None:
    begun = replace(SIMILAR, trials=(record(0, TrialState.RUNNING),))
    assert outlook([], begun) is None
