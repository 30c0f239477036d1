"""The report in a terminal says what `report.json` says, and claims no more."""

import io
import re
from typing import Any

from rich.console import Console

from mvkt_ray.cli.display.report_summary import summarize


def shown(report: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=160)
    for renderable in summarize(report, "study/report/index.html"):
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


def test_before_finals_nothing_is_marked_as_best(searched_report: dict[str, Any]) -> None:
    text = shown(searched_report)
    assert "nothing is claimed" in " ".join(text.split())
    assert "*" not in text
    assert "test split  never opened" in text
    best = searched_report["leads"][0]
    assert f"{best['validation']['corrected']:.3f}" in row_of(text, best["lead"])
