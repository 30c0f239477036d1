"""What is enqueued is tried first, for whom it was asked, and nothing else is changed by it."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.objectives import SizeLimitsConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, Scalar, SearchConfig
from mvkt_ray.config.study_file import study_from_yaml, write_study
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, TrialState
from mvkt_ray.search.choosing.proposing import propose
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.study import Study
from tests.begun_study import begun_study

LEADS = ("I", "II", "V1")
SPACE = {
    "kd_weight": ParameterConfig(low=0.1, high=10.0, log=True),
    "n_negatives": ParameterConfig(low=128, high=1024, step=128),
    "clt_loss": ParameterConfig(choices=("crd", "infonce")),
    "clt_temperature": ParameterConfig(low=0.05, high=0.5, when={"clt_loss": ("infonce",)}),
    "student": ParameterConfig(value="sepconv1d_small"),
}


def study_of(*entries: dict[str, Scalar], **search: Any) -> StudyConfig:
    options: dict[str, Any] = {"leads": ("I", "II"), "n_trials": 14, **search}
    return StudyConfig(
        name="e", space=SPACE, search=SearchConfig(enqueue=entries, sampler="random", **options)
    )


def open_study(config: StudyConfig, url: str = "sqlite://", *, resume: bool = False) -> Study:
    space = SearchSpace.from_config(config, LEADS)
    return begun_study(config, space, LedgerDatabase(url), resume=resume, inputs={})


def searched(study: Study) -> list[tuple[str, dict[str, Scalar]]]:
    records = [record for record in study.trials() if record.trial.arm is Arm.SEARCH]
    return [(record.condition, dict(record.drawn)) for record in records]


def ask_all(study: Study, most: int = 99) -> None:
    for _ in range(most):
        if study.ask() is None:
            return


def test_each_is_tried_for_its_lead_and_those_without_for_every_lead() -> None:
    study = open_study(study_of({"kd_weight": 2}, {"kd_weight": "3e0", "lead": "ii"}))
    ask_all(study)
    trials = searched(study)
    assert [(lead, drawn["kd_weight"]) for lead, drawn in trials[:3]] == [
        ("I", 2.0),
        ("II", 2.0),
        ("II", 3.0),
    ]
    # What an entry leaves out is drawn, anew for each.
    assert {"kd_weight", "n_negatives", "clt_loss"} <= trials[0][1].keys()
    assert trials[0][1] != trials[1][1]
    # Baselines come before, and the lead that has had less comes next.
    arms = [record.trial.arm for record in study.trials()]
    assert arms == [Arm.STUDENT_ALONE] * 2 + [Arm.PLAIN_KD] * 2 + [Arm.SEARCH] * 10
    assert [lead for lead, _ in trials].count("I") == 5
    assert trials[3][0] == "I"


def test_a_driver_that_dies_between_two_of_them_goes_on_with_the_next(tmp_path: Any) -> None:
    config = study_of({"kd_weight": 2.0}, {"kd_weight": 3.0, "lead": "I"})
    whole = open_study(config)
    ask_all(whole)
    url = f"sqlite:///{tmp_path}/ledger.db"
    for n_asked in (5, 1, 1, 99):
        study = open_study(config, url, resume=True)
        # Those that were running are given out again, before new ones.
        n_running = sum(record.state is TrialState.RUNNING for record in study.trials())
        ask_all(study, n_running + n_asked)
        study.close()
    assert searched(study) == searched(whole)


@given(number=st.integers(0, 500), kd_weight=st.floats(0.1, 10.0))
def test_what_is_given_is_had_and_the_rest_is_drawn_from_the_space(
    number: int, kd_weight: float
) -> None:
    config = study_of({"kd_weight": kd_weight, "clt_loss": "infonce", "clt_temperature": 0.1})
    space = SearchSpace.from_config(config, LEADS)
    entry = space.enqueued[0].given
    drawn = propose(space, config.search, seed=1, number=number, records=[], given=entry)
    assert {name: drawn[name] for name in entry} == entry
    assert drawn["n_negatives"] in range(128, 1025, 128)


def test_a_study_file_keeps_them() -> None:
    config = study_of({"kd_weight": 2.0, "lead": "II"}, {"clt_loss": "crd"})
    assert study_from_yaml(write_study(config), "study.yaml") == config


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kd_wieght": 1.0}, "did you mean 'kd_weight'"),
        ({"kd_weight": 20.0}, "outside the space: it is drawn from the range 0.1 to 10"),
        ({"n_negatives": 130}, "outside the space"),
        ({"kd_weight": "much"}, "kd_weight must be a finite number"),
        ({"student": "xresnet1d18"}, "every trial of this study has 'sepconv1d_small'"),
        ({"clt_temperature": 0.1}, "used only where clt_loss is 'infonce'. Give clt_loss"),
        ({"kd_weight": 1.0, "lead": "V1"}, "which the study does not compare"),
    ],
)
def test_what_the_space_cannot_draw_is_refused(entry: dict[str, Scalar], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SearchSpace.from_config(study_of({"kd_weight": 1.0}, entry), LEADS)
    assert "search.enqueue[1]" in str(caught.value)
    assert said in str(caught.value)


def test_more_than_there_are_trials_for_is_refused() -> None:
    entries: list[dict[str, Scalar]] = [{"kd_weight": float(value)} for value in range(1, 7)]
    with pytest.raises(ConfigError, match=r"12 trials of search\.enqueue and 4 baselines are 16"):
        SearchSpace.from_config(study_of(*entries), LEADS)


def test_a_grid_has_them_anyway_and_a_race_wants_leads_alike() -> None:
    with pytest.raises(ValueError, match="a grid tries every point"):
        SearchConfig(enqueue=({"kd_weight": 1.0},), sampler="grid")
    with pytest.raises(ValueError, match="Leave lead out"):
        SearchConfig(enqueue=({"kd_weight": 1.0, "lead": "II"},), conditions="race")
    assert SearchConfig(enqueue=({"kd_weight": 1.0},), conditions="race").enqueue


def test_a_student_beyond_the_limits_is_refused_and_one_that_is_half_said_too() -> None:
    sized = {"student": ("sepconv1d",)}
    space = {
        "student": ParameterConfig(choices=("sepconv1d", "sepconv1d_tiny")),
        "student_width": ParameterConfig(low=8, high=64, step=8, when=sized),
        "kd_weight": SPACE["kd_weight"],
    }
    limits = SizeLimitsConfig(parameters=20_000)

    def read(entry: dict[str, Scalar]) -> SearchSpace:
        config = replace(study_of(entry, limits=limits), space=space)
        return SearchSpace.from_config(config, LEADS, n_classes=5)

    with pytest.raises(ConfigError, match=r"the student of search.enqueue\[0\] is sepconv1d"):
        read({"student": "sepconv1d", "student_width": 64})
    with pytest.raises(ConfigError, match="give all of them, or none"):
        read({"student": "sepconv1d"})
    assert read({"student": "sepconv1d_tiny"}).enqueued
    assert read({"student": "sepconv1d", "student_width": 8}).enqueued
    assert read({"kd_weight": 1.0}).enqueued
