"""The folder of a label budget: its plan is kept, gone on with, and protected from another one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import FinalsConfig
from mvkt_ray.errors import ArtifactError, StaleArtifactError
from mvkt_ray.search.label_budget.budget_folder import BudgetFolder, BudgetPlan
from mvkt_ray.storage.location import Location


@pytest.fixture
def folder(tmp_path: Path) -> BudgetFolder:
    return BudgetFolder(Location.parse(tmp_path / "budget"))


def plan(**changes: object) -> BudgetPlan:
    made = BudgetPlan(base=StudyConfig(name="base"), budgets=(1.0, 0.5), n_draws=2, data="/data")
    return replace(made, **changes)  # type: ignore[arg-type]


def test_the_plan_is_read_back_as_it_was_written(folder: BudgetFolder) -> None:
    folder.begin(plan(), resume=False)
    assert folder.read_plan() == plan()
    assert folder.states(plan().cells, plan().base) == ["new"] * len(plan().cells)


def test_a_folder_in_use_is_gone_on_with_only_when_asked(folder: BudgetFolder) -> None:
    folder.begin(plan(), resume=False)
    with pytest.raises(ArtifactError, match="--resume"):
        folder.begin(plan(), resume=False)
    wider = plan(budgets=(1.0, 2.0, 0.5), n_draws=3)
    folder.begin(wider, resume=True)
    assert folder.read_plan() == wider


@pytest.mark.parametrize(
    "base",
    [StudyConfig(name="base", seed=1), StudyConfig(name="base", finals=FinalsConfig(n_seeds=9))],
)
def test_a_budget_of_another_study_is_refused_and_left_alone(
    folder: BudgetFolder, base: StudyConfig
) -> None:
    folder.begin(plan(), resume=False)
    with pytest.raises(StaleArtifactError):
        folder.begin(plan(base=base), resume=True)
    assert folder.read_plan() == plan()


def test_a_begin_that_was_killed_before_its_plan_begins_again(folder: BudgetFolder) -> None:
    folder.begin(plan(), resume=False)
    folder.plan_file.delete()
    folder.begin(plan(), resume=False)
    assert folder.read_plan() == plan()


def test_a_folder_of_something_else_is_not_written_to(folder: BudgetFolder, tmp_path: Path) -> None:
    (folder.root / "thesis.txt").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"holds thesis\.txt but no label budget"):
        folder.begin(plan(), resume=True)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError, match="is a file"):
        BudgetFolder(Location.parse(tmp_path / "file")).begin(plan(), resume=False)


def test_a_plan_that_is_missing_or_was_changed_is_told(folder: BudgetFolder) -> None:
    with pytest.raises(ArtifactError, match="holds no label budget"):
        folder.read_plan()
    folder.begin(plan(), resume=False)
    for content in (b"{", b"[]", json.dumps({"schema_version": 9}).encode()):
        folder.plan_file.write_bytes(content)
        with pytest.raises(ArtifactError, match=r"label_budget\.json cannot be read"):
            folder.read_plan()


def test_shards_that_were_given_or_made_by_the_first_cell_are_shared(
    folder: BudgetFolder, tmp_path: Path
) -> None:
    given = plan(data=str(tmp_path / "data"))
    assert str(folder.shards(given)) == given.data
    own = folder.cell(given.cells[0]).shards
    (own / "manifest.json").write_bytes(b"{}")
    assert folder.shards(given) == own
    assert folder.shards(plan(data=None)) == own
    (Location.parse(tmp_path / "data") / "manifest.json").write_bytes(b"{}")
    assert str(folder.shards(given)) == given.data
