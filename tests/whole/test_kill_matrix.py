"""The kill matrix in short: one write of each kind of loss, killed in the middle, ends the same."""

from pathlib import Path

import pytest

from benchmarks.kill_matrix.__main__ import read_known, write_page
from benchmarks.kill_matrix.cells import COLUMNS, ROWS, Cell, all_cells
from benchmarks.kill_matrix.running import Matrix, Outcome
from benchmarks.kill_matrix.scenes import SCENES
from benchmarks.kill_matrix.shim import sitecustomize as shim


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return Matrix(tmp_path_factory.mktemp("kills"))


@pytest.mark.parametrize(
    "cell",
    [
        Cell(row="ingest", column="shard", phase="during", signal="SIGTERM"),
        Cell(row="train-teacher", column="teacher's checkpoint", phase="during", signal="SIGKILL"),
    ],
    ids=lambda cell: cell.key,
)
def test_a_process_that_is_killed_at_a_write_ends_as_if_it_had_not_been(
    matrix: Matrix, cell: Cell
) -> None:
    outcome = matrix.run(cell)
    assert outcome.verdict == "same"
    assert outcome.n_starts == 2
    assert outcome.lost_epochs <= 1


def test_every_cell_is_of_a_scene_and_a_column_that_there_is() -> None:
    cells = all_cells()
    assert len({cell.key for cell in cells}) == len(cells)
    assert {cell.column for cell in cells} == set(COLUMNS)
    assert {row.verb for row in ROWS} <= set(SCENES)


@pytest.mark.parametrize(
    ("path", "column"),
    [
        ("out/trials/00003/checkpoint.pt", "checkpoint"),
        ("out/teacher.partial/.checkpoint-0.pt", "teacher's checkpoint"),
        ("out/teacher.partial/manifest.json", "manifest"),
        ("out/teacher.partial/teacher.safetensors", "teacher"),
        ("out/knowledge.partial/part-00000.arrow", "knowledge"),
        ("out/shards.partial/part-00000.arrow", "shard"),
        ("out/finals/01/trials/00000/test.arrow", "predictions"),
        ("out/trials/00000/student.safetensors", "student"),
        ("out/inputs.json", "other"),
    ],
)
def test_a_write_is_known_by_the_name_of_its_file(path: str, column: str) -> None:
    assert shim.column_of(path) == column


def test_a_cell_that_does_not_hold_is_on_the_page_with_its_reason(tmp_path: Path) -> None:
    good, bad = all_cells()[:2]
    file = tmp_path / "known.jsonl"
    file.write_text(
        f'{{"cell": "{good.key}", "verdict": "same", "n_starts": 2, "lost_epochs": 1}}\n'
        f'{{"cell": "{bad.key}", "verdict": "another result", "n_starts": 2, "lost_epochs": 0}}\n'
    )
    known = read_known(file)
    assert known[good.key] == Outcome(verdict="same", n_starts=2, lost_epochs=1)
    page = write_page(known)
    assert f"2 of {len(all_cells())} cells are known, 1 hold" in page
    assert f"- {bad.key}: " in page
    assert f"- {good.key}: " not in page
