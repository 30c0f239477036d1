"""The flags of a search that is sent to a cluster: the same there as here."""

import inspect
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.cli.cluster.search_line import (
    LEDGERS,
    LOCATIONS,
    PLAIN,
    REFUSED,
    SHIPPED,
    TRACKERS,
    read_search_line,
    search_command,
)
from mvkt_ray.cli.cluster.shipped_files import read_shipped_files
from mvkt_ray.cli.verbs.search import search_verb
from mvkt_ray.errors import ConfigError

FLAGS = {
    "--data": "s3://bucket/ptb-xl",
    "--teacher": "/shared/teacher",
    "--like": "file:///shared/runs/0",
    "--prices": "prices.yaml",
    "--tracker": "wandb=hearts",
    "--ledger": "postgresql://ann@db.lab/ecg",
    "--folds": "1-7/8/9",
    "--max-trials": "12",
    "--max-cost": "20.0",
    "--time-budget": "2h",
    "--resume": None,
    "--dry-run": None,
    "--json": None,
    "--quiet": None,
}


@given(given_flags=st.lists(st.sampled_from(sorted(FLAGS)), unique=True), last=st.booleans())
def test_every_flag_arrives_once_wherever_the_study_stands(
    given_flags: list[str], last: bool
) -> None:
    words = ["--out", "s3://bucket/my runs"]
    for flag in given_flags:
        value = FLAGS[flag]
        words += [flag] if value is None else [flag, value]
    line = read_search_line([*words, "a/b.yaml"] if last else ["a/b.yaml", *words])
    assert (line.study, line.out) == (Path("a/b.yaml"), "s3://bucket/my runs")
    assert sorted(line.words) == sorted([*words, "study.yaml"])
    # What is written is read to the same again.
    again = read_search_line(line.words)
    assert (again.out, sorted(again.words)) == (line.out, sorted(line.words))


def test_a_short_flag_and_a_joined_value_are_understood() -> None:
    line = read_search_line(["-q", "--out=/runs/1", "--resume"])
    assert line.study is None
    assert sorted(line.words) == ["--out", "--quiet", "--resume", "/runs/1"]


def test_what_happens_to_every_flag_is_decided() -> None:
    decided = [*SHIPPED, *LOCATIONS, *LEDGERS, *TRACKERS, *REFUSED, *PLAIN]
    assert sorted(decided) == sorted(parameter.name for parameter in search_command().params), (
        "say in search_line.py what a flag of `mvkt search` needs of the machine that submits"
    )


def test_no_flag_that_takes_a_path_is_passed_on_as_it_is() -> None:
    hints = typing.get_type_hints(search_verb)
    paths = {name for name, hint in hints.items() if Path in (hint, *typing.get_args(hint))}
    assert paths == set(SHIPPED)
    metavars = {
        name: str(getattr(note, "metavar", ""))
        for name, parameter in inspect.signature(search_verb).parameters.items()
        for note in getattr(parameter.annotation, "__metadata__", ())
    }
    for name in PLAIN:
        assert not any(word in metavars.get(name, "") for word in ("DIR", "PATH", "FILE", "URI"))


def test_the_names_of_local_files_are_those_of_the_job() -> None:
    line = read_search_line(
        ["../my study.yaml", "--out", "/shared/1", "--prices=~/prices of mine.yaml"]
    )
    assert line.study == Path("../my study.yaml")
    assert line.prices == Path("~/prices of mine.yaml")
    assert sorted(line.words) == ["--out", "--prices", "/shared/1", "prices.yaml", "study.yaml"]


@pytest.mark.parametrize("flag", [f"--{name}" for name in LOCATIONS])
@pytest.mark.parametrize("location", ["runs/one", "../one", "file://one", "s3:/bucket/one"])
def test_a_location_that_only_this_machine_knows_is_refused(flag: str, location: str) -> None:
    words = [] if flag == "--out" else ["--out", "/shared/out"]
    with pytest.raises(
        ConfigError, match=f"{flag} '{location}' is relative to a folder of this machine"
    ):
        read_search_line(["study.yaml", *words, flag, location])


RELATIVE_TRACKERS = [
    "tensorboard=tb",
    "tensorboard=./tb",
    "mlflow=mlruns",
    "mlflow=./mlruns",
    "mlflow=file:mlruns",
    "mlflow=file:./mlruns",
    "mlflow=sqlite:///mlflow.db",
]
TRACKERS_EVERYWHERE = [
    "tensorboard=/shared/tb",
    "mlflow=/shared/mlruns",
    "mlflow=file:/shared/mlruns",
    "mlflow=file:///shared/mlruns",
    "mlflow=sqlite:////shared/mlflow.db",
    "mlflow=https://mlflow.example.com",
    "mlflow=postgresql://user@host/mlflow",
    "mlflow=databricks",
    "mlflow=databricks://profile",
    "wandb=team/hearts",
]


@pytest.mark.parametrize("tracker", RELATIVE_TRACKERS)
def test_a_tracker_that_would_write_beside_the_job_is_refused(tracker: str) -> None:
    words = ["study.yaml", "--out", "/out", "--tracker", "wandb=hearts", "--tracker", tracker]
    with pytest.raises(
        ConfigError, match=f"--tracker '{tracker}' is relative to a folder of this machine"
    ):
        read_search_line(words)


def test_trackers_that_every_node_reaches_go_through() -> None:
    words = [word for tracker in TRACKERS_EVERYWHERE for word in ("--tracker", tracker)]
    line = read_search_line(["--out", "/out", "--resume", *words])
    assert [word for word in line.words if "=" in word] == TRACKERS_EVERYWHERE


def test_in_process_is_refused() -> None:
    with pytest.raises(ConfigError, match="--in-process"):
        read_search_line(["study.yaml", "--out", "/out", "--in-process"])


def test_what_a_study_learns_from_must_be_seen_by_the_cluster(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    line = read_search_line([str(study), "--out", "/shared/runs/one"])
    study.write_text("{name: one, search: {learn_from: runs/earlier}}")
    with pytest.raises(ConfigError, match=r"search.learn_from 'runs/earlier' is relative"):
        read_shipped_files(line)
    study.write_text("{name: one, search: {learn_from: /shared/runs/earlier}}")
    assert read_shipped_files(line).study is not None
