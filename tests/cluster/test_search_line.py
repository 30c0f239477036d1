"""The flags of a search that is sent to a cluster: the same there as here."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.cli.cluster.search_line import STUDY_FILE, read_search_line
from mvkt_ray.errors import ConfigError

FLAGS = {
    "--data": "s3://bucket/ptb-xl",
    "--teacher": "/shared/teacher",
    "--folds": "1-7/8/9",
    "--max-trials": "12",
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
    assert sorted(line.words) == sorted([*words, STUDY_FILE])
    # What is written is read to the same again.
    again = read_search_line(line.words)
    assert (again.out, sorted(again.words)) == (line.out, sorted(line.words))


def test_a_short_flag_and_a_joined_value_are_understood() -> None:
    line = read_search_line(["-q", "--out=/runs/1", "--resume"])
    assert line.study is None
    assert sorted(line.words) == ["--out", "--quiet", "--resume", "/runs/1"]


@pytest.mark.parametrize("flag", ["--data", "--teacher", "--out"])
def test_a_place_that_only_this_machine_knows_is_refused(flag: str) -> None:
    words = [] if flag == "--out" else ["--out", "/shared/out"]
    with pytest.raises(ConfigError, match=f"{flag} 'runs/one' is relative to this folder"):
        read_search_line(["study.yaml", *words, flag, "runs/one"])


def test_in_process_is_refused() -> None:
    with pytest.raises(ConfigError, match="--in-process"):
        read_search_line(["study.yaml", "--out", "/out", "--in-process"])
