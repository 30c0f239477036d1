"""The kill matrix in short: one write of each kind of loss, killed in the middle, ends the same."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.kill_matrix.__main__ import read_known, write_page
from benchmarks.kill_matrix.cells import COLUMNS, ROWS, Cell, all_cells
from benchmarks.kill_matrix.in_store import StoreKiller, column_of_key
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


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("run/out/ledger/000001-9f2c41aa/wal-000000000004152", "piece"),
        ("run/out/ledger/000001-9f2c41aa/snapshot.db", "snapshot"),
        ("run/out/ledger/head.json", "head"),
        ("run/out/ledger/lease.json", "lease"),
        ("run/out/trials/00003/checkpoint.pt", "checkpoint"),
        ("run/out/logs/head.json", "other"),
    ],
)
def test_a_write_to_a_store_is_known_by_its_key(key: str, column: str) -> None:
    assert column_of_key(key) == column


@pytest.mark.parametrize(("phase", "is_carried_out"), [("before", False), ("during", True)])
def test_a_driver_falls_at_the_write_that_is_waited_for(
    tmp_path: Path, phase: str, is_carried_out: bool
) -> None:
    stored: list[str] = []

    def store(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        stored.append(environ["PATH_INFO"])
        return [b""]

    plan = {"column": "piece", "phase": phase, "signal": "SIGKILL", "nth": 2}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as driver:
        killer = StoreKiller({**plan, "mark": tmp_path / "mark"}, pid=driver.pid)
        for piece in range(2):
            assert driver.poll() is None
            path = f"/kills/out/ledger/000001-9f2c41aa/wal-{piece:015d}"
            request = {"REQUEST_METHOD": "PUT", "PATH_INFO": path}
            list(killer.around(store)(request, lambda status, headers: None))
        assert driver.wait() == -9
    assert [path[-1] for path in stored] == (["0", "1"] if is_carried_out else ["0"])


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
