"""Finals of several objectives train points of each condition's front."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.objectives import Objective
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import FinalsConfig, ParameterConfig, SearchConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals_plan import plan_finals
from mvkt_ray.search.finals.front import MARGIN, few_of_front, front_of
from mvkt_ray.search.ledger.trial_record import TrialRecord

BOTH: tuple[Objective, ...] = ("macro_auroc", "parameters")
CONFIG = StudyConfig(
    name="front",
    space={"kd_weight": ParameterConfig(low=0.1, high=10.0)},
    search=SearchConfig(leads=("II", "V1"), objectives=BOTH),
)
SPACE = SearchSpace.from_config(CONFIG, LEADS)


def trials(
    points: Sequence[tuple[float, int]], lead: str = "II", first: int = 0
) -> list[TrialRecord]:
    """Complete trials of these scores and parameters."""
    return [_trial(first + n, score, size, lead) for n, (score, size) in enumerate(points)]


def _trial(number: int, score: float, size: int, lead: str) -> TrialRecord:
    drawn = {"kd_weight": 0.1 + 0.01 * number}
    state = TrialState.COMPLETE
    return TrialRecord(
        trial=Trial(
            number=number,
            condition=Condition(leads=(lead,)),
            arm=Arm.SEARCH,
            hyperparameters=SPACE.complete(drawn),
        ),
        drawn=drawn,
        state=state,
        result=TrialResult(number=number, state=state, macro_auroc=score, n_parameters=size),
    )


def points_of(records: Sequence[TrialRecord]) -> list[tuple[float, int]]:
    results = [record.result for record in records]
    return [(r.macro_auroc or 0.0, r.n_parameters) for r in results if r is not None]


POINTS = st.lists(
    st.tuples(st.integers(50, 60).map(lambda n: n / 60), st.integers(1, 8).map(lambda n: 100 * n)),
    min_size=1,
    max_size=14,
)


@given(points=POINTS, n_points=st.integers(1, 6))
def test_what_is_chosen_is_on_the_front_with_the_best_and_the_smallest_that_is_near_it(
    points: list[tuple[float, int]], n_points: int
) -> None:
    front = front_of(trials(points), BOTH)
    scores, sizes = zip(*points_of(front), strict=True)
    assert max(points)[0] == scores[0]
    assert list(scores) == sorted(scores, reverse=True)
    assert list(sizes) == sorted(sizes, reverse=True)
    assert len(set(front_of_points(points))) == len(front)
    chosen = few_of_front(front, BOTH, n_points)
    assert len(chosen) == min(n_points, len(front))
    assert [each for each in front if each in chosen] == chosen
    assert chosen[0] == front[0]
    near = min(size for score, size in points_of(front) if score >= scores[0] - MARGIN)
    assert n_points == 1 or near in {size for _, size in points_of(chosen)}


def front_of_points(points: list[tuple[float, int]]) -> list[tuple[float, int]]:
    return [
        (score, size)
        for score, size in points
        if not any((s > score and n <= size) or (s >= score and n < size) for s, n in points)
    ]


def test_equal_trials_are_one_point_the_first() -> None:
    front = front_of(trials([(0.8, 500), (0.9, 900), (0.9, 900), (0.8, 500)]), BOTH)
    assert [record.number for record in front] == [1, 0]


def test_a_third_objective_may_cost_more_where_another_costs_less() -> None:
    objectives: tuple[Objective, ...] = ("macro_auroc", "parameters", "macs")
    made = [
        _with_macs(record, macs)
        for record, macs in zip(
            trials([(0.9, 900), (0.85, 900), (0.8, 500)]), (70, 60, 80), strict=True
        )
    ]
    assert [record.number for record in front_of(made, objectives)] == [0, 1, 2]
    assert [record.number for record in front_of(made, BOTH)] == [0, 2]


def _with_macs(record: TrialRecord, macs: int) -> TrialRecord:
    assert record.result is not None
    return replace(record, result=replace(record.result, n_multiply_accumulates=macs))


def test_finals_name_the_points_of_each_front_by_their_scores() -> None:
    of_ii = trials([(0.90, 9000), (0.895, 3000), (0.893, 4000), (0.85, 1000), (0.70, 100)])
    of_v1 = trials([(0.80, 500), (0.79, 700)], lead="V1", first=10)
    finals = FinalsConfig(n_configurations=3, baselines=("student_alone",))
    plan = plan_finals(finals, SPACE, [*of_ii, *of_v1], BOTH)
    named = [(c.condition.name, c.name, c.chosen_trial) for c in plan]
    # The best; 3000 parameters within 0.01 of it; and the farthest from both.
    assert named == [
        ("II", "chosen", 0),
        ("II", "chosen_2", 1),
        ("II", "chosen_3", 4),
        ("II", "student_alone", 0),
        ("V1", "chosen", 10),
        ("V1", "student_alone", 10),
    ]


def test_by_score_alone_finals_take_what_they_always_did() -> None:
    made = trials([(0.80, 500), (0.90, 9000), (0.895, 9999), (0.90, 100)])
    space = SearchSpace.from_config(
        StudyConfig(name="one", search=SearchConfig(leads=("II",))), LEADS
    )
    plan = plan_finals(FinalsConfig(n_configurations=3, baselines=()), space, made)
    assert [contender.chosen_trial for contender in plan] == [1, 3, 2]


def test_a_further_point_of_the_front_is_no_answer_as_not_every_lead_has_it() -> None:
    finals = FinalsConfig(n_configurations=2, answer="chosen_2")
    with pytest.raises(ConfigError, match=r"some leads may lack\. Set it to chosen"):
        plan_finals(finals, SPACE, trials([(0.9, 100)]), BOTH)


def test_the_front_of_nothing_is_nothing() -> None:
    assert front_of([], BOTH) == few_of_front([], BOTH, 3) == []
