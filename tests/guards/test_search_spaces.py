"""Every file in search_spaces/ is a valid study that can be sampled and trained on."""

from pathlib import Path

import pytest

from mvkt_ray.config import Hyperparameters
from mvkt_ray.config_file import read_study
from mvkt_ray.data.recording import LEADS
from mvkt_ray.models import NETWORKS
from mvkt_ray.search.space import SearchSpace

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
    assert study.search.n_trials >= n_conditions * (len(study.search.baselines) + 1)


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
