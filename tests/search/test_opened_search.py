"""A plan is carried out by one process at a time, and only while it holds."""

import time
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.errors import ArtifactError
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.opened_search import open_search
from mvkt_ray.search.search_plan import SearchPlan, SearchRequest, plan_search
from mvkt_ray.storage.location import Location

STUDY: dict[str, Any] = {
    "name": "planned",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 20, "duration_s": 3.0},
        "task": "synthetic",
    },
    "space": {"batch_size": 8},
    "search": {"leads": ["I"], "n_trials": 4},
}
CONFIG = study_from_mapping(STUDY, "planned")


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(Location.parse(tmp_path / "study"))


def plan(folder: StudyFolder, **request: Any) -> SearchPlan:
    return plan_search(CONFIG, SearchRequest(folder=folder, **request))


def begin(folder: StudyFolder, config: StudyConfig) -> None:
    """Write what another search writes first, which then dies."""
    folder.root.make_directory()
    folder.write_config(config)


def test_of_two_that_planned_the_same_study_one_runs_it(folder: StudyFolder) -> None:
    mine, theirs = plan(folder), plan(folder)
    with (
        open_search(mine),
        pytest.raises(ArtifactError, match="another process writes it now"),
        open_search(theirs),
    ):
        raise AssertionError("both run it")
    with open_search(theirs) as search:
        assert search.trials == ()


def test_a_plan_is_refused_when_another_search_came_first_and_nothing_is_changed(
    folder: StudyFolder,
) -> None:
    made = plan(folder)
    begin(folder, study_from_mapping({**STUDY, "seed": 5}, "planned"))
    with pytest.raises(ArtifactError, match="changed by another search"), open_search(made):
        raise AssertionError("it runs in the folder of another")
    assert folder.root.names() == ["study.yaml"]


def test_damaged_times_are_refused_before_anything_is_trained(folder: StudyFolder) -> None:
    begin(folder, CONFIG)
    folder.stages_file.write_bytes(b"{")
    with pytest.raises(ArtifactError, match=r"stages\.json cannot be read.*remove it"):
        plan(folder, resume=True)


def test_a_plan_to_resume_is_refused_when_its_inputs_changed(folder: StudyFolder) -> None:
    begin(folder, CONFIG)
    made = plan(folder, resume=True)
    folder.write_inputs({"shards": folder.shards, "teacher": None, "knowledge": None})
    with pytest.raises(ArtifactError, match="changed by another search"), open_search(made):
        raise AssertionError("it runs with inputs that it did not check")
    with open_search(plan(folder, resume=True)) as search:
        assert search.plan.begun is not None
        assert search.plan.begun.inputs["shards"] == folder.shards


def test_planning_and_opening_write_no_study(folder: StudyFolder) -> None:
    made = plan(folder)
    with open_search(made):
        assert not folder.root.exists()
    assert made == plan(folder, started=made.request.started)


def test_the_time_budget_counts_from_the_start_of_the_command(folder: StudyFolder) -> None:
    begun_long_ago = SearchRequest(
        folder=folder, time_budget_s=60.0, started=time.monotonic() - 3600.0
    )
    assert begun_long_ago.time_left_s is not None
    assert begun_long_ago.time_left_s < 0
    just_begun = SearchRequest(folder=folder, time_budget_s=3600.0)
    assert just_begun.time_left_s is not None
    assert 0 < just_begun.time_left_s <= 3600.0
    assert SearchRequest(folder=folder).time_left_s is None
