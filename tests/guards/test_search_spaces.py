"""Every file in search_spaces/ is a valid study that can be sampled and trained on."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.config.study_file import read_study
from mvkt_ray.data.recording import LEADS
from mvkt_ray.models.network_table import NETWORKS
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.finals_plan import plan_finals
from mvkt_ray.search.ledger.trial_record import TrialRecord

FOLDER = Path(__file__).parents[2] / "search_spaces"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_there_are_search_spaces() -> None:
    assert {"quickstart.yaml", "best_single_lead.yaml", "paper.yaml"} <= {f.name for f in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_is_a_valid_study_of_its_own_name(path: Path) -> None:
    study = read_study(path)
    assert study.name == path.stem
    assert study.teacher.network in NETWORKS
    space = SearchSpace.from_config(study, LEADS)
    n_conditions = len(study.search.leads or LEADS)
    assert len(space.conditions) == n_conditions
    n_arms = len(study.search.baselines) + min(1, study.finals.n_configurations)
    assert study.search.n_trials >= n_conditions * n_arms


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_finals_of_the_file_can_be_planned(path: Path) -> None:
    study = read_study(path)
    space = SearchSpace.from_config(study, LEADS)
    # Contenders that choose for themselves have a trial of their own kind.
    kinds = [{}, *(each.where for each in study.finals.contenders.values() if each.where)]
    records = [complete_record(each, kind) for each in space.conditions for kind in kinds]
    plan = plan_finals(study.finals, space, records)
    answers = {contender.condition for contender in plan if contender.name == study.finals.answer}
    assert answers == set(space.conditions)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_defaults_of_the_space_are_hyperparameters(path: Path) -> None:
    space = SearchSpace.from_config(read_study(path), LEADS)
    hyperparameters = Hyperparameters(**space.defaults)  # pyright: ignore[reportArgumentType]
    assert hyperparameters.student in NETWORKS


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_says_why(path: Path) -> None:
    text = path.read_text()
    assert sum(line.lstrip().startswith("#") or "  #" in line for line in text.splitlines()) >= 3
    assert path.name in (FOLDER / "README.md").read_text()


def complete_record(condition: Condition, changed: Mapping[str, Scalar]) -> TrialRecord:
    """A search trial with the default hyper-parameters, but for some, that came to its end."""
    trial = Trial(
        number=0,
        condition=condition,
        arm=Arm.SEARCH,
        hyperparameters={**asdict(Hyperparameters()), **changed},
    )
    result = TrialResult(number=0, state=TrialState.COMPLETE, macro_auroc=0.8)
    return TrialRecord(trial=trial, drawn={}, state=TrialState.COMPLETE, result=result)
