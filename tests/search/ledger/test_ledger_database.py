"""Who only looks at a study writes nothing, and sees what was written where it may only be read."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from mvkt_ray.search.ledger.ledger_database import has_ledger, is_driven, reading
from mvkt_ray.search.ledger.sqlite_url import path_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.output_lock import holding

NOBODY = 65534


@pytest.fixture
def public() -> Generator[Path]:
    """A folder that every user may come to; pytest's own are the user's alone."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@contextlib.contextmanager
def without_privileges() -> Generator[None]:
    """Be nobody in the block, where this is the superuser, who may write everywhere."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def write_half(file: Path) -> None:
    """Leave a database and its journal as a driver does that is killed in a transaction."""
    working = file.with_name("working.db")
    with contextlib.closing(sqlite3.connect(working, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size=1")
        connection.execute("CREATE TABLE numbers (value INTEGER, text TEXT)")
        connection.execute("INSERT INTO numbers VALUES (1, 'whole')")
        connection.execute("BEGIN")
        for number in range(500):
            connection.execute("INSERT INTO numbers VALUES (?, ?)", [number, "half" * 100])
        connection.execute("UPDATE numbers SET value = 2 WHERE text = 'whole'")
        shutil.copyfile(working, file)
        shutil.copyfile(f"{working}-journal", f"{file}-journal")
    working.unlink()


def test_a_ledger_that_was_half_written_is_read_where_it_may_only_be_read(public: Path) -> None:
    folder = StudyFolder(Location.parse(public))
    file = folder.ledger.local_path
    write_half(file)
    file.chmod(0o444)
    os.chmod(public, 0o555)
    before = file.read_bytes()
    with without_privileges(), reading(folder) as database:
        path = path_of(database.url)
        assert path is not None
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT value, text FROM numbers").fetchall()
    assert rows == [(1, "whole")]
    assert file.read_bytes() == before
    os.chmod(public, 0o755)


def test_a_ledger_that_may_be_written_is_read_as_it_is(public: Path) -> None:
    folder = StudyFolder(Location.parse(public))
    assert not has_ledger(folder)
    write_half(folder.ledger.local_path)
    assert has_ledger(folder)
    with reading(folder) as database:
        assert path_of(database.url) == folder.ledger.local_path


def test_a_study_is_driven_while_a_process_holds_it_and_looking_leaves_nothing(
    tmp_path: Path,
) -> None:
    folder = StudyFolder(Location.parse(tmp_path / "study"))
    assert not is_driven(folder)
    assert list(tmp_path.iterdir()) == []
    with holding(folder.root):
        assert is_driven(folder)
    assert not is_driven(folder)
    with holding(folder.root):
        pass
