"""`mvkt compare` on folders of studies: what it shows and refuses, and that it only reads."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app

if TYPE_CHECKING:
    from conftest import MakeStudy

    from mvkt_ray.search.ledger.study_folder import StudyFolder


def mvkt(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def three(
    final_study: "StudyFolder", searched_study: "StudyFolder", make_study: "MakeStudy"
) -> list[Path]:
    """A study with finals, one whose students are helped less, and one before its finals."""
    worse = {"student_alone": -0.15, "plain_kd": -0.05, "chosen": -0.5, "search": 0, "teacher": 0.5}
    made = (final_study, make_study(help=worse), searched_study)
    return [folder.root.local_path for folder in made]


@pytest.fixture(scope="module")
def value(three: list[Path]) -> Any:
    """What is said of them, in JSON."""
    done = mvkt("compare", *three, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_studies_of_one_name_are_told_by_their_folders(three: list[Path], value: Any) -> None:
    assert [each["study"] for each in value["studies"]] == list(map(str, three))
    assert {each["study"] for each in value["differences"]} == {str(three[1])}
    assert value["mean_differences"][0]["difference"] < 0
    assert [each["study"] for each in value["unpaired"]] == [str(three[2])]


def test_it_is_shown_in_tables_and_nothing_is_written(three: list[Path]) -> None:
    before = {path: path.read_bytes() for each in three for path in each.rglob("*.*")}
    shown = mvkt("compare", *three, "--quiet")
    assert "paired" in shown.stdout
    assert "on validation" in shown.stdout
    assert "choosing on the test split" in shown.stdout
    assert {path: path.read_bytes() for each in three for path in each.rglob("*.*")} == before


def test_the_scores_are_those_of_the_report(value: Any, final_report: dict[str, Any]) -> None:
    expected = {lead["lead"]: lead["test"] for lead in final_report["leads"]}
    for lead in value["studies"][0]["leads"]:
        assert lead["macro_auroc"] == pytest.approx(expected[lead["lead"]]["macro_auroc"])
        assert lead["ci"] == pytest.approx(expected[lead["lead"]]["ci"])


@pytest.mark.parametrize("given", [0, 1, 2])
def test_one_study_alone_or_twice_is_refused(three: list[Path], given: int) -> None:
    done = mvkt("compare", *[three[0]] * given)
    assert done.exit_code == 2
    if given:
        assert "cannot be compared" in done.stderr or "given twice" in done.stderr


def test_a_folder_without_a_study_is_refused(three: list[Path], tmp_path: Path) -> None:
    done = mvkt("compare", three[0], tmp_path)
    assert done.exit_code == 2
    assert "holds no study" in done.stderr
