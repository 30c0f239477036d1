"""Small or good: the front, the smallest that is nearly as good, and what finals made of them."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_study import LEADS, made_up_config
from typed_reports import typed

from mvkt_ray.config.search_config import FinalsConfig, ParameterConfig, SearchConfig
from mvkt_ray.delivery.facts.comparisons import compared_with
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.facts.pareto_fronts import SizedTrial, describe_front, sized_trials
from mvkt_ray.delivery.figures.gallery import make_gallery
from mvkt_ray.delivery.figures.of_search.size_fronts import draw_sizes
from mvkt_ray.delivery.page import render_page
from mvkt_ray.delivery.report.report_json import plain_report, report_schema
from mvkt_ray.delivery.sentences.small_students import least
from mvkt_ray.delivery.tables import write_tables
from mvkt_ray.delivery.write_report import describe
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.finals.front import MARGIN
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location

if TYPE_CHECKING:
    from conftest import MakeStudy


def records_of(points: Sequence[tuple[int, float]]) -> list[TrialRecord]:
    """Trials of one lead with these sizes and scores."""
    records: list[TrialRecord] = []
    for number, (size, score) in enumerate(points):
        trial = Trial(
            number=number,
            condition=Condition(leads=("II",)),
            arm=Arm.SEARCH,
            hyperparameters={"student": "sepconv1d"},
        )
        result = TrialResult(
            number=number,
            state=TrialState.COMPLETE,
            macro_auroc=score,
            n_parameters=size,
            n_multiply_accumulates=10 * size,
        )
        records.append(TrialRecord(trial=trial, drawn={}, state=TrialState.COMPLETE, result=result))
    return records


def plain_front(records: Sequence[TrialRecord]) -> dict[str, Any]:
    """The front of some trials as the report's JSON has it."""
    found = asdict(describe_front(records, "parameters"))
    return found | {"front": list(found["front"])}


@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.sampled_from([0.8, 0.806, 0.812, 0.82, 0.9])),
        min_size=1,
        max_size=20,
    )
)
def test_a_front_rises_and_what_is_nearly_as_good_is_the_smallest_within_the_margin(
    points: list[tuple[int, float]],
):
    found = plain_front(records_of(points))
    front = found["front"]
    for smaller, larger in pairwise(front):
        assert smaller["cost"] < larger["cost"]
        assert smaller["macro_auroc"] < larger["macro_auroc"]
    for size, score in points:
        assert any(p["cost"] <= size and p["macro_auroc"] >= score for p in front)
    best = max(score for _, score in points)
    assert points[found["best"]][1] == best
    within = [size for size, score in points if score > best - MARGIN]
    assert points[found["nearly_as_good"]][0] == min(within)
    assert {found["best"], found["nearly_as_good"]} <= {p["trial"] for p in front}


def test_by_hand():
    points = [(9, 0.9), (2, 0.893), (5, 0.8929), (1, 0.7), (9, 0.9)]
    found = plain_front(records_of(points))
    assert [point["trial"] for point in found["front"]] == [3, 1, 0]
    assert (found["best"], found["nearly_as_good"]) == (0, 1)
    assert found["front"][1]["n_multiply_accumulates"] == 20


def sized_config(**changes: Any) -> Any:
    """Two families, one of them of any width; every trial comes to its end or is pruned."""
    config = made_up_config()
    space = dict(config.space) | {
        "student": ParameterConfig(choices=("sepconv1d", "xresnet1d18")),
        "student_width": ParameterConfig(low=4, high=48, when={"student": ("sepconv1d",)}),
    }
    return replace(
        config,
        space=space,
        search=replace(config.search, n_trials=32),
        finals=FinalsConfig(n_seeds=2, n_configurations=3),
        **changes,
    )


@pytest.fixture(scope="module")
def sized_study(make_study: "MakeStudy") -> StudyFolder:
    return make_study(config=sized_config())


@pytest.fixture(scope="module")
def material(sized_study: StudyFolder) -> ReportMaterial:
    return gather_material(sized_study)


@pytest.fixture(scope="module")
def report(material: ReportMaterial) -> dict[str, Any]:
    return plain_report(describe(material))


def test_a_study_of_one_size_says_nothing_of_sizes(
    final_study: StudyFolder, final_report: dict[str, Any]
):
    assert final_report["sizes"] is None
    assert sized_trials(gather_material(final_study)) == ()
    assert "smallest" not in final_report["answer"]["sentence"]


def test_sizes_are_in_the_report_as_its_schema_says(report: dict[str, Any]):
    jsonschema.validate(report, report_schema())
    sizes = report["sizes"]
    assert (sizes["by"], sizes["margin"], sizes["window_s"]) == ("parameters", 0.01, 2.5)
    assert [e["lead"] for e in sizes["leads"]] == [each["lead"] for each in report["leads"]]


def test_fronts_are_those_of_complete_search_trials(
    report: dict[str, Any], material: ReportMaterial
):
    trials = sized_trials(material)
    assert len(trials) == report["sizes"]["n_trials"] == len(material.searched)
    by_number = {record.number: record for record in material.searched}
    for entry in report["sizes"]["leads"]:
        own = [trial for trial in trials if trial.lead == entry["lead"]]
        records = [by_number[trial.trial] for trial in own]
        assert entry["front"] == plain_front(records)["front"]
        for point in entry["front"]:
            result = by_number[point["trial"]].result
            assert result is not None
            assert point["macro_auroc"] == result.macro_auroc
            assert point["cost"] == point["n_parameters"] == result.n_parameters > 0
            assert point["n_multiply_accumulates"] == result.n_multiply_accumulates
        best = max(own, key=lambda trial: trial.macro_auroc)
        assert entry["best"] == best.trial == entry["front"][-1]["trial"]
    assert report["sizes"]["of_all_leads"] == plain_front(material.searched)


def test_after_finals_each_chosen_configuration_has_its_size_and_its_test_score(
    report: dict[str, Any], material: ReportMaterial
):
    for entry, lead in zip(report["sizes"]["leads"], report["leads"], strict=True):
        names = [name for name in lead["contenders"] if name.startswith("chosen")]
        assert [point["contender"] for point in entry["examined"]] == names
        sizes = {trial.trial: trial.n_parameters for trial in sized_trials(material)}
        for point in entry["examined"]:
            contender = lead["contenders"][point["contender"]]
            assert point["macro_auroc"] == contender["test"]["macro_auroc"]
            assert point["ci"] == contender["test"]["ci"]
            assert point["trial"] == contender["trial"]
            assert point["n_parameters"] == sizes[point["trial"]]


def test_page_figure_and_table_show_every_trial_and_mark_the_front(
    report: dict[str, Any], material: ReportMaterial, tmp_path: Path
):
    write_tables(typed(report), material, Location.parse(tmp_path))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "sizes.csv").read_text("utf-8"))))
    assert [int(row["trial"]) for row in rows] == [record.number for record in material.searched]
    fronts = {(e["lead"], p["trial"]) for e in report["sizes"]["leads"] for p in e["front"]}
    marked = {(row["lead"], int(row["trial"])) for row in rows if row["on_front"] == "true"}
    assert marked == fronts
    enough = [int(row["trial"]) for row in rows if row["nearly_as_good"] == "true"]
    assert sorted(enough) == sorted(e["nearly_as_good"] for e in report["sizes"]["leads"])

    gallery = make_gallery(typed(report), material)
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", gallery.figures["sizes"])
    leads = [entry["lead"] for entry in report["sizes"]["leads"]]
    assert set(leads) | {"all leads"} <= set(texts)
    page = render_page(typed(report), gallery)
    assert "Score against size" in page
    # Smaller students are no baselines of what the teacher bought.
    assert "over distilled 2" not in gallery.figures["gains"]
    assert "over student alone" in gallery.figures["gains"]
    assert compared_with(typed(report).leads) == (
        ["student_alone", "plain_kd"],
        ["chosen_2", "chosen_3"],
    )
    for entry in report["sizes"]["leads"]:
        for point in entry["front"]:
            assert f"{point['n_parameters']:,}</td>" in page


def test_without_sizes_there_is_no_figure_and_no_heading(
    final_report: dict[str, Any], final_study: StudyFolder
):
    gallery = make_gallery(typed(final_report), gather_material(final_study))
    assert gallery.figures["sizes"] == ""
    assert "Score against size" not in render_page(typed(final_report), gallery)


@pytest.mark.parametrize("points", [[(1, 0.8)], [(5, 0.8), (5, 0.81)], [(7, 0.5), (8, 0.9)]])
def test_few_points_and_near_sizes_can_be_drawn(points: list[tuple[int, float]]):
    records = records_of(points)
    entry = plain_front(records)
    sizes = {"by": "parameters", "margin": MARGIN, "n_trials": len(records)}
    sizes |= {"of_all_leads": entry, "leads": [entry | {"lead": "II", "examined": []}]}
    drawn = [
        SizedTrial(
            trial=number,
            lead="II",
            student="sepconv1d",
            macro_auroc=score,
            n_parameters=size,
            n_multiply_accumulates=10 * size,
            latency_ms=None,
            cost=float(size),
        )
        for number, (size, score) in enumerate(points)
    ]
    svg = draw_sizes(typed({"sizes": sizes, "statistics": {"level": 0.95}}), drawn)
    assert f"Validation macro AUROC of {len(points)} trials" in svg


def test_before_finals_nothing_is_examined(make_study: "MakeStudy"):
    folder = make_study(config=sized_config(), has_finals=False)
    report = plain_report(describe(gather_material(folder)))
    jsonschema.validate(report, report_schema())
    assert {len(entry["examined"]) for entry in report["sizes"]["leads"]} == {0}
    assert "Of the students of lead" in report["answer"]["sentence"]


@pytest.mark.parametrize(
    ("objective", "field", "smallest"),
    [("macs", "n_multiply_accumulates", "cheapest"), ("latency_ms", "latency_ms", "fastest")],
)
def test_students_are_compared_by_what_the_search_looked_for(
    make_study: "MakeStudy", objective: Any, field: str, smallest: str
):
    search = SearchConfig(
        leads=LEADS, n_trials=32, sampler="random", objectives=("macro_auroc", objective)
    )
    folder = make_study(config=replace(sized_config(), search=search))
    material = gather_material(folder)
    report = plain_report(describe(material))
    jsonschema.validate(report, report_schema())
    assert report["sizes"]["by"] == objective
    for point in report["sizes"]["of_all_leads"]["front"]:
        assert point["cost"] == point[field]
    sizes = typed(report).sizes
    assert sizes is not None
    assert least(sizes) == smallest
    if objective == "latency_ms":
        page = render_page(typed(report), make_gallery(typed(report), material))
        assert "Shaded is the fastest of a lead" in page
        assert "Latency" in page
    # Of the front the finals took the best and the least that is nearly as good.
    for entry in report["sizes"]["leads"]:
        examined = {point["trial"] for point in entry["examined"]}
        assert {entry["best"], entry["nearly_as_good"]} <= examined
