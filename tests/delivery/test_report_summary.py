"""The report in a terminal says what `report.json` says, and claims no more."""

import copy
import io
import re
from typing import Any

from rich.console import Console
from typed_reports import typed

from mvkt_ray.display.report_summary import summarize


def shown(report: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=160)
    for renderable in summarize(typed(report), "study/report/index.html"):
        console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row_of(text: str, lead: str) -> str:
    (row,) = re.findall(rf"^[ *]*\d+ +{lead} .*$", text, re.MULTILINE)
    return row


def test_after_finals_leads_have_intervals_and_the_best_set_is_marked(
    final_report: dict[str, Any],
) -> None:
    text = shown(final_report)
    assert " ".join(text.split()).count(final_report["answer"]["sentence"]) == 1
    for lead in final_report["leads"]:
        row = row_of(text, lead["lead"])
        low, high = lead["test"]["ci"]
        assert f"{lead['test']['macro_auroc']:.3f}" in row
        assert f"{low:.3f} to {high:.3f}" in row
        assert ("*" in row) == lead["in_best_set"]
    assert "test split  opened once" in text
    assert "study/report/index.html" in text


def test_the_level_of_intervals_is_that_of_the_report(final_report: dict[str, Any]) -> None:
    report = final_report | {"statistics": final_report["statistics"] | {"level": 0.9}}
    text = shown(report).replace(report["answer"]["sentence"], "")
    assert "90 % interval" in text
    assert "(90 %, over all leads)" in text


def test_gains_of_one_column_are_over_one_contender(final_report: dict[str, Any]) -> None:
    report = copy.deepcopy(final_report)
    worst = report["leads"][-1]
    worst["gains"] = [gain for gain in worst["gains"] if gain["over"] == "plain_kd"]
    worst["gain"] = worst["gains"][0]
    text = shown(report)
    assert "over student alone" in text
    assert row_of(text, worst["lead"]).split()[-2:] == ["-", "-"]


def test_classes_in_no_mean_and_recordings_in_no_split_are_told(
    final_report: dict[str, Any],
) -> None:
    report = copy.deepcopy(final_report)
    report["data"] |= {"n_recordings": 410, "n_without_fold": 10}
    for lead in report["leads"]:
        lead["validation"]["left_out"] = ["AF"]
    text = " ".join(shown(report).split())
    assert "No validation recording has AF, so it is in no mean AUROC" in text
    assert "The other 10 are in no split and not used: 10 have no fold." in text


def test_what_the_ingest_said_is_said_to_whoever_searched_from_recordings(
    final_report: dict[str, Any],
) -> None:
    report = copy.deepcopy(final_report)
    remark = "2 patients are written in several ways, for example '7' and '7.0': taken for one."
    report["data"]["remarks"] = [remark]
    assert f"Note: {remark}" in " ".join(shown(report).split())
    report["data"] = None
    assert "Note:" not in shown(report)


def test_before_finals_nothing_is_marked_as_best(searched_report: dict[str, Any]) -> None:
    text = shown(searched_report)
    assert "nothing is claimed" in " ".join(text.split())
    assert "*" not in text
    assert "test split  never opened" in text
    best = searched_report["leads"][0]
    assert f"{best['validation']['corrected']:.3f}" in row_of(text, best["lead"])
