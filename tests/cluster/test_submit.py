"""What travels with a study: files that the line and the study name, and variables."""

import contextlib
import re
import shlex
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.cli.cluster.search_line import SearchLine
from mvkt_ray.cli.cluster.shipped_files import TASK_FILE, read_shipped_files
from mvkt_ray.cli.cluster.submit import _slug, _variables
from mvkt_ray.config.study_file import read_study
from mvkt_ray.data.sources import SOURCES
from mvkt_ray.data.tasks import read_task
from mvkt_ray.errors import ConfigError
from mvkt_ray.interface.arguments import with_prices
from mvkt_ray.on_ray.jobs.jobs_api import JOB_ID, JobRequest

SPACES = Path(__file__).parents[2] / "search_spaces"
PRICES = {"currency": "CHF", "node_types": {"cpu": {"price_per_hour": 0.5, "cpus": 8}}}


def line_of(study: Path | None = None, prices: Path | None = None) -> SearchLine:
    return SearchLine(study=study, prices=prices, out="/out", words=())


@pytest.mark.parametrize("name", sorted(path.name for path in SPACES.glob("*.yaml")))
def test_a_study_arrives_as_it_is_read_here(name: str, tmp_path: Path) -> None:
    read_shipped_files(line_of(SPACES / name)).write(tmp_path)
    assert read_study(tmp_path / "study.yaml") == read_study(SPACES / name)
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_a_study_on_a_base_with_a_task_of_its_own_needs_no_other_file(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    task = here / "my task.yaml"
    task.write_text("name: mine\nclasses: {AF: [AFIB]}\n")
    shutil.copy(SPACES / "quickstart.yaml", here / "base.yaml")
    (here / "study.yaml").write_text(f"base: base.yaml\ndata: {{task: '{task}'}}\n")
    read_shipped_files(line_of(here / "study.yaml")).write(there)
    text = task.read_text()
    shutil.rmtree(here)
    assert read_study(there / "study.yaml").data.task == TASK_FILE
    assert (there / TASK_FILE).read_text() == text


def test_of_a_launchers_file_only_the_prices_travel(tmp_path: Path) -> None:
    launcher = tmp_path / "aws.yaml"
    launcher.write_text(yaml.safe_dump({"cluster_name": "secret", "metadata": PRICES}))
    files = read_shipped_files(line_of(prices=launcher))
    assert list(files.contents) == ["prices.yaml"]
    sent = yaml.safe_load(files.contents["prices.yaml"])
    assert (sent["currency"], sent["node_types"]["cpu"]["price_per_hour"]) == ("CHF", 0.5)
    assert "cluster_name" not in sent


def test_every_source_option_that_may_be_a_path_is_known() -> None:
    text = {
        (name, field)
        for name, source in SOURCES.items()
        for field, kind in source.__annotations__.items()
        if kind is str and field != "location"
    }
    # Below the folder of the recordings, or absolute: as for --data, nothing is to be shipped.
    assert text == {("wfdb", "labels")}


class OtherEnd:
    """Takes a job instead of a cluster, and keeps its folder."""

    url = "http://head:8265"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests: list[JobRequest] = []

    def submit(self, request: JobRequest) -> None:
        shutil.copytree(request.folder, self.folder)
        self.requests.append(request)


@pytest.fixture
def other_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OtherEnd:
    end = OtherEnd(tmp_path / "there")

    @contextlib.contextmanager
    def opened(*_: Any) -> Generator[OtherEnd]:
        yield end

    monkeypatch.setattr("mvkt_ray.on_ray.jobs.jobs_api.open_jobs", opened)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    Path("prices.of.mine.yaml").write_text(yaml.safe_dump(PRICES))
    Path("my_task.yml").write_text("name: mine\nclasses: {AF: [AFIB], MI: [IMI, AMI]}\n")
    shutil.copy(SPACES / "quickstart.yaml", "base.yaml")
    Path("mine.yaml").write_text("base: base.yaml\nname: mine\ndata: {task: my_task.yml}\n")
    return end


def submit(*words: str, expect: int = 0) -> str:
    line = ["cluster", "submit", *words, "--address", "http://head:8265", "--detach"]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == expect, done.output
    return done.stderr


def test_the_line_means_there_what_it_means_here(
    other_end: OtherEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit("mine.yaml", "--out", "/shared/1", "--prices", "prices.of.mine.yaml")
    here = with_prices(read_study("mine.yaml"), Path("prices.of.mine.yaml"))
    task = read_task("my_task.yml")

    monkeypatch.chdir(other_end.folder)
    [request] = other_end.requests
    words = shlex.split(request.entrypoint)
    assert words[:3] == ["exec", "mvkt", "search"]
    prices = Path(words[words.index("--prices") + 1])
    [study] = [word for word in words if word.endswith(".yaml") and word != str(prices)]
    there = with_prices(read_study(study), prices)
    assert there.resources == here.resources
    assert there.resources.cost is not None
    assert there.resources.cost.currency == "CHF"
    assert read_task(there.data.task) == task
    assert sorted(path.name for path in other_end.folder.iterdir()) == sorted(
        [study, str(prices), there.data.task]
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["mine.yaml", "--prices", "none.yaml"], ["none.yaml", "cannot be read"]),
        (["mine.yaml", "--prices", "my_task.yml"], ["my_task.yml", "there is no such key"]),
        (
            ["mine.yaml", "--like", "runs/0"],
            ["--like 'runs/0'", "relative to a folder of this machine"],
        ),
        (["mine.yaml", "--tracker", "tensorboard=tb"], ["tensorboard=tb", "absolute path"]),
        (["none.yaml"], ["none.yaml", "cannot be read"]),
        (["lost.yaml"], ["data.task", "no_task.yaml", "cannot be read"]),
        (["wrong.yaml"], ["data.task", "wrong.yaml", "unknown key 'base'"]),
        (["baseless.yaml"], ["no_base.yaml", "cannot be read"]),
    ],
)
def test_a_local_file_that_is_wrong_is_refused_before_anything_is_sent(
    words: list[str], told: list[str], other_end: OtherEnd
) -> None:
    Path("lost.yaml").write_text("base: base.yaml\ndata: {task: no_task.yaml}\n")
    Path("wrong.yaml").write_text("base: base.yaml\ndata: {task: wrong.yaml}\n")
    Path("baseless.yaml").write_text("base: no_base.yaml\n")
    [paragraph] = submit(*words, "--out", "/shared/1", expect=2).splitlines()
    for each in told:
        assert each in paragraph
    assert other_end.requests == []


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
