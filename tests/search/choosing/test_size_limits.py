"""Limits of size are kept by everything that is drawn, and refused where nothing can keep them."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.objectives import SizeLimitsConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, Scalar, SearchConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.errors import ConfigError
from mvkt_ray.models.facts import NetworkFacts
from mvkt_ray.models.network_table import NETWORKS
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.proposing import propose
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.student_sizes import student_facts
from mvkt_ray.search.ledger.trial_record import TrialRecord

N_CLASSES = 5
SIZED = {"student": ("sepconv1d",)}


def facts(hyperparameters: dict[str, Scalar], n_leads: int = 1) -> NetworkFacts:
    return student_facts(hyperparameters, n_leads=n_leads, n_classes=N_CLASSES, n_samples=250)


def study_of(space: dict[str, ParameterConfig], **search: Any) -> StudyConfig:
    fields = {"leads": ("II",), "n_startup_trials": 3, **search}
    return StudyConfig(name="limited", space=space, search=SearchConfig(**fields))


def space_of(config: StudyConfig) -> SearchSpace:
    return SearchSpace.from_config(config, LEADS, N_CLASSES)


def space_or_none(config: StudyConfig) -> SearchSpace | None:
    """A refusal for any other reason than the limits is none that is looked for here."""
    try:
        return space_of(config)
    except ConfigError as error:
        if "no student of the space is small enough" not in str(error):
            raise
        return None


def is_within(found: NetworkFacts, limits: SizeLimitsConfig) -> bool:
    return (limits.parameters is None or found.n_parameters <= limits.parameters) and (
        limits.macs is None or found.n_multiply_accumulates <= limits.macs
    )


def width(low: int, high: int, **row: Any) -> ParameterConfig:
    return ParameterConfig(low=low, high=high, when=SIZED, **row)


MIXED = {
    "student": ParameterConfig(choices=("xresnet1d18", "sepconv1d", "sepconv1d_tiny")),
    "student_width": width(8, 64, step=8),
    "student_depth": width(0, 3),
    "kd_weight": ParameterConfig(low=0.1, high=10.0, log=True),
}

LIGHT = [name for name in NETWORKS if "50" not in name and "101" not in name]


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, ParameterConfig]:
    """Students of one size and of several, with all ways to depend on each other."""
    names = draw(st.lists(st.sampled_from(LIGHT), min_size=1, max_size=4, unique=True))
    rows: dict[str, ParameterConfig] = {
        "student": ParameterConfig(choices=tuple(names)),
        "kd_weight": ParameterConfig(low=0.1, high=10.0),
    }
    if "sepconv1d" in names:
        low, steps = draw(st.integers(1, 24)), draw(st.integers(1, 30))
        rows["student_width"] = width(low, low + steps, log=draw(st.booleans()))
        depths = draw(st.sampled_from([(0, 1), (0, 2), (1, 4)]))
        when = dict(SIZED)
        if draw(st.booleans()):
            rows["negatives"] = ParameterConfig(choices=("disjoint", "any"))
            when["negatives"] = ("any",)
        rows["student_depth"] = ParameterConfig(low=depths[0], high=depths[1], when=when)
    return rows


@settings(max_examples=25, deadline=None)
@given(
    rows=spaces(),
    share=st.floats(0.01, 1.5),
    limited=st.sampled_from([("parameters",), ("macs",), ("parameters", "macs")]),
    sampler=st.sampled_from(["tpe", "random"]),
    leads=st.sampled_from([("II",), ("II", "I+II+V5")]),
)
def test_no_drawn_trial_and_no_baseline_breaks_the_limits_whatever_the_space(
    rows: dict[str, ParameterConfig],
    share: float,
    limited: tuple[str, ...],
    sampler: str,
    leads: tuple[str, ...],
) -> None:
    largest = {"parameters": 4_000_000 * share**3, "macs": 60e6 * share**3}
    limits = SizeLimitsConfig(**{name: int(largest[name]) + 1 for name in limited})
    config = study_of(rows, limits=limits, sampler=sampler, leads=leads)
    n_leads = 3 if len(leads) > 1 else 1
    space = space_or_none(config)
    if space is None:
        # Rightly: whatever the space draws without limits is beyond them.
        free = study_of(rows, sampler="random", leads=leads)
        tried = [
            propose(space_of(free), free.search, seed=seed, number=seed, records=[])
            for seed in range(20)
        ]
        found = [facts(space_of(free).complete(each), n_leads) for each in tried]
        assert not any(is_within(each, limits) for each in found)
        return
    drawn = [propose(space, config.search, seed=seed, number=seed, records=[]) for seed in range(6)]
    chosen = [space.complete(each) for each in drawn]
    for values in [*chosen, space.baseline(Arm.STUDENT_ALONE), space.baseline(Arm.PLAIN_KD)]:
        assert is_within(facts(values, n_leads), limits)


def test_limits_that_everything_keeps_change_no_proposal() -> None:
    free, limited = (
        study_of(MIXED, limits=limits)
        for limits in (SizeLimitsConfig(), SizeLimitsConfig(parameters=10**9, macs=1e12))
    )
    for number in range(8):
        proposals = [
            propose(space_of(each), each.search, seed=1, number=number, records=[])
            for each in (free, limited)
        ]
        assert proposals[0] == proposals[1]


def test_a_student_that_is_hardly_ever_drawn_is_found_all_the_same() -> None:
    smallest = facts({"student": "sepconv1d", "student_width": 8, "student_depth": 0})
    config = study_of(MIXED, limits=SizeLimitsConfig(parameters=smallest.n_parameters))
    space = space_of(config)
    for number in range(4):
        drawn = propose(space, config.search, seed=2, number=number, records=[])
        assert (drawn["student"], drawn["student_width"], drawn["student_depth"]) == (
            "sepconv1d",
            8,
            0,
        )
        assert 0.1 <= float(drawn["kd_weight"]) <= 10.0
    assert (
        len(
            {
                propose(space, config.search, seed=2, number=n, records=[])["kd_weight"]
                for n in range(4)
            }
        )
        == 4
    )


def test_a_sampler_that_has_learned_still_keeps_limits() -> None:
    limits = SizeLimitsConfig(parameters=20_000)
    config = study_of(MIXED, limits=limits)
    space = space_of(config)
    records: list[TrialRecord] = []
    for number in range(14):
        drawn = propose(space, config.search, seed=0, number=number, records=records)
        values = space.complete(drawn)
        assert facts(values).n_parameters <= 20_000
        # The larger, the better: the sampler is drawn to the limit.
        score = 0.5 + facts(values).n_parameters / 1e6
        trial = Trial(
            number=number,
            condition=Condition(leads=("II",)),
            arm=Arm.SEARCH,
            hyperparameters=values,
        )
        state = TrialState.COMPLETE
        result = TrialResult(number=number, state=state, macro_auroc=score)
        records.append(TrialRecord(trial=trial, drawn=drawn, state=state, result=result))


def refusal(config: StudyConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        space_of(config)
    return str(caught.value)


def test_limits_that_no_student_keeps_are_refused_with_the_nearest() -> None:
    said = refusal(study_of(MIXED, limits=SizeLimitsConfig(parameters=100)))
    smallest = {"student": "sepconv1d", "student_width": 8, "student_depth": 0}
    assert "no student of the space is small enough" in said
    assert "sepconv1d of width 8 and depth 0" in said
    assert f"{facts(smallest).n_parameters:,} parameters" in said
    assert "250 samples of 1 lead" in said
    assert "the limit is 100 parameters. Raise it" in said
    both = SizeLimitsConfig(parameters=10**6, macs=10.0)
    assert "1,000,000 parameters and 10 multiply-accumulates" in refusal(
        study_of(MIXED, limits=both)
    )


def test_a_fixed_student_is_held_to_the_limits_too() -> None:
    rows = {"student": ParameterConfig(value="xresnet1d18")}
    said = refusal(study_of(rows, limits=SizeLimitsConfig(parameters=1000)))
    assert "The nearest is xresnet1d18, which has" in said


def test_a_baseline_has_the_largest_student_within_the_limits_where_its_own_is_beyond() -> None:
    alone = space_of(study_of(MIXED)).baseline(Arm.STUDENT_ALONE)
    assert alone["student"] == "xresnet1d18"
    limits = SizeLimitsConfig(parameters=50_000)
    space = space_of(study_of(MIXED, limits=limits))
    kept = space.baseline(Arm.STUDENT_ALONE)
    others = [
        {"student": "sepconv1d", "student_width": w, "student_depth": d}
        for w in range(8, 65, 8)
        for d in range(4)
    ]
    within = [n for each in others if (n := facts(each).n_parameters) <= 50_000]
    assert facts(kept).n_parameters == max(within)
    assert kept["student"] == space.baseline(Arm.PLAIN_KD)["student"] == "sepconv1d"
    # One that is within keeps what the space has for it.
    large = SizeLimitsConfig(parameters=10**9)
    assert space_of(study_of(MIXED, limits=large)).baseline(Arm.STUDENT_ALONE) == alone


def test_a_student_of_plain_kd_that_is_too_large_is_refused() -> None:
    config = StudyConfig(
        name="limited",
        space=MIXED,
        plain_kd={"student": "xresnet1d34", "kd_weight": 1.0},
        search=SearchConfig(leads=("II",), limits=SizeLimitsConfig(parameters=50_000)),
    )
    said = refusal(config)
    assert "the student of the baseline plain_kd is xresnet1d34" in said
    assert "give `plain_kd` a smaller student" in said


def test_points_of_a_grid_beyond_the_limits_are_left_out_and_counted() -> None:
    rows = {**MIXED, "kd_weight": ParameterConfig(choices=(0.5, 1.0, 2.0))}
    config = study_of(
        rows, sampler="grid", n_trials=500, limits=SizeLimitsConfig(parameters=20_000)
    )
    space = space_of(config)
    assert space.grid is not None
    whole = space_of(study_of(rows, sampler="grid", n_trials=500)).grid
    assert whole is not None
    assert len(whole) == 3 * (2 + 8 * 4)
    small = [point for point in whole if facts(space.complete(point)).n_parameters <= 20_000]
    assert sorted(map(repr, space.grid)) == sorted(map(repr, small))
    assert 0 < len(small) == len(whole) - space.n_beyond_limits


def test_a_space_that_is_only_read_needs_no_number_of_classes() -> None:
    config = study_of(MIXED, limits=SizeLimitsConfig(parameters=20_000), sampler="grid")
    assert SearchSpace.from_config(config, LEADS).grid is None
