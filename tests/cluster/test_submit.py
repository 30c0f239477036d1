"""What travels with a study: the file with its base in it, a task of the user's own, variables."""

import re
import shutil
from pathlib import Path

import pytest

from mvkt_ray.cli.cluster.submit import TASK_FILE, _fill, _slug, _variables
from mvkt_ray.config.study_file import read_study
from mvkt_ray.errors import ConfigError
from mvkt_ray.on_ray.jobs.jobs_api import JOB_ID

SPACES = Path(__file__).parents[2] / "search_spaces"


@pytest.mark.parametrize("name", sorted(path.name for path in SPACES.glob("*.yaml")))
def test_a_study_arrives_as_it_is_read_here(name: str, tmp_path: Path) -> None:
    config = read_study(SPACES / name)
    _fill(tmp_path, config)
    assert read_study(tmp_path / "study.yaml") == config
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_a_study_on_a_base_with_a_task_of_its_own_needs_no_other_file(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    task = here / "my task.yaml"
    task.write_text("name: mine\nclasses: {AF: [AFIB]}\n")
    shutil.copy(SPACES / "quickstart.yaml", here / "base.yaml")
    (here / "study.yaml").write_text(f"base: base.yaml\ndata: {{task: '{task}'}}\n")
    config = read_study(here / "study.yaml")
    _fill(there, config)
    text = task.read_text()
    shutil.rmtree(here)
    assert read_study(there / "study.yaml").data.task == TASK_FILE
    assert (there / TASK_FILE).read_text() == text


def test_variables_come_from_the_line_or_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "a=b")
    monkeypatch.delenv("NOWHERE", raising=False)
    values = _variables(["HERE", "THERE=c=d", "EMPTY="])
    assert values == {"HERE": "a=b", "THERE": "c=d", "EMPTY": ""}
    with pytest.raises(ConfigError, match="--env NOWHERE"):
        _variables(["NOWHERE"])


@pytest.mark.parametrize("name", ["Best lead, 2nd try", "---", "", "paper"])
def test_any_name_makes_a_job_that_can_be_named(name: str) -> None:
    assert re.fullmatch(JOB_ID, _slug(name))
