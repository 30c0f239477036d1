"""The tables hold what the report says, column by column."""

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from typed_reports import typed

from mvkt_ray.delivery.facts.material import gather_material
from mvkt_ray.delivery.report.report_json import plain_report
from mvkt_ray.delivery.tables import TABLES, write_tables
from mvkt_ray.delivery.write_report import describe
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

Rows = list[dict[str, str]]


def written(study: StudyFolder, folder: Path) -> tuple[dict[str, Any], dict[str, Rows]]:
    material = gather_material(study)
    report = plain_report(describe(material))
    write_tables(typed(report), material, Location.parse(folder))
    return report, {
        path.stem: list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
        for path in folder.iterdir()
    }


@pytest.fixture(scope="module")
def final(
    final_study: StudyFolder, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Rows]]:
    return written(final_study, tmp_path_factory.mktemp("tables"))


def test_leads_csv_has_the_ranks_and_scores_of_the_report(
    final: tuple[dict[str, Any], dict[str, Rows]],
) -> None:
    report, tables = final
    for lead, row in zip(report["leads"], tables["leads"], strict=True):
        assert (row["rank"], row["lead"]) == (str(lead["rank"]), lead["lead"])
        assert float(row["test_macro_auroc"]) == lead["test"]["macro_auroc"]
        assert [float(row["ci_low"]), float(row["ci_high"])] == lead["test"]["ci"]
        assert row["in_best_set"] == str(lead["in_best_set"]).lower()
        assert float(row["gap_closed_fraction"]) == lead["gap_closed"]["fraction"]


def test_gains_csv_has_every_comparison_and_whether_it_is_claimed(
    final: tuple[dict[str, Any], dict[str, Rows]],
) -> None:
    report, tables = final
    expected = [
        (lead["lead"], gain["over"], str(gain["claimed"]).lower())
        for lead in report["leads"]
        for gain in lead["gains"]
    ]
    assert [(r["lead"], r["over"], r["claimed"]) for r in tables["gains"]] == expected
    assert len(tables["lead_pairs"]) == 6
    assert [row["over"] for row in tables["mean_gains"]] == ["student_alone", "plain_kd"]


def test_teacher_gap_csv_has_the_parts_of_every_lead_and_class(
    final: tuple[dict[str, Any], dict[str, Rows]],
) -> None:
    report, tables = final
    expected = [
        (lead["lead"], row) for lead in report["teacher_gap"]["leads"] for row in lead["rows"]
    ]
    assert len(expected) == 4 * (1 + len(report["classes"]))
    for (lead, row), found in zip(expected, tables["teacher_gap"], strict=True):
        assert (found["lead"], found["class"]) == (lead, row["class"] or "")
        assert float(found["teacher_auroc"]) == row["teacher"]
        for name in ("closed", "attainable", "left"):
            assert float(found[name]) == row[name]["difference"]
            if row[name]["fraction"] is not None:
                assert float(found[f"{name}_fraction"]) == row[name]["fraction"]


def test_classes_and_contenders_are_there_for_every_lead_and_for_the_teacher(
    final: tuple[dict[str, Any], dict[str, Rows]],
) -> None:
    report, tables = final
    n_classes = len(report["classes"])
    assert len(tables["contenders"]) == 4 * 3 + 1
    assert len(tables["classes"]) == (4 * 3 + 1) * n_classes
    teacher = [row for row in tables["classes"] if row["contender"] == "teacher"]
    assert [row["lead"] for row in teacher] == [""] * n_classes


def test_trials_csv_has_every_training(final: tuple[dict[str, Any], dict[str, Rows]]) -> None:
    rows = final[1]["trials"]
    assert [row["stage"] for row in rows] == ["search"] * 24 + ["finals"] * 24
    assert [row["trial"] for row in rows] == [str(n) for n in range(24)] * 2
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert {row["epochs"] for row in pruned} == {"2"}
    assert [row["finals"] for row in rows] == [""] * 24 + ["1"] * 24


def test_every_column_of_every_table_is_explained(
    final: tuple[dict[str, Any], dict[str, Rows]],
) -> None:
    tables = dict(final[1])
    explained = {(row["table"], row["column"]): row["meaning"] for row in tables.pop("columns")}
    assert all(explained.values())
    assert set(tables) == {table.name for table in TABLES}
    for name, rows in tables.items():
        for row in rows:
            assert {(name, column) for column in row} <= set(explained)


def test_a_command_with_a_file_name_that_is_not_utf8_is_written(
    final_study: StudyFolder, final_report: dict[str, Any], tmp_path: Path
) -> None:
    opening = final_report["test_split"]["openings"][0] | {"command": "mvkt finalize caf\udce9"}
    report = final_report | {"test_split": final_report["test_split"] | {"openings": [opening]}}
    write_tables(typed(report), gather_material(final_study), Location.parse(tmp_path))
    assert "mvkt finalize caf\\udce9" in (tmp_path / "openings.csv").read_text("utf-8")


def test_before_finals_tables_of_the_test_split_are_empty(
    searched_study: StudyFolder, tmp_path: Path
) -> None:
    _, tables = written(searched_study, tmp_path)
    assert tables["gains"] == tables["lead_pairs"] == tables["openings"] == []
    assert tables["teacher_gap"] == []
    assert {row["ranked_on"] for row in tables["leads"]} == {"validation"}
    assert {row["test_macro_auroc"] for row in tables["leads"]} == {""}
