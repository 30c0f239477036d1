"""A path is no URL: whatever letters it has, the same file is meant on both sides."""

import contextlib
import os
from pathlib import Path

import sqlalchemy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.sqlite_url import path_of, url_of

NAMES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\0"), min_size=1)


@given(NAMES)
@example("lead?v=2")
@example("100%41")
@example("a b#c&d")
@example("{SCHEMA_VERSION}")
@settings(max_examples=200)
def test_a_path_comes_back_from_its_url_and_sqlalchemy_reads_the_same(name: str) -> None:
    path = Path("/runs") / name / "ledger.db"
    url = url_of(path)
    assert path_of(url) == path
    parsed = sqlalchemy.make_url(url)
    assert parsed.database == str(path)
    assert not parsed.query


def test_bytes_that_are_no_text_come_back_too() -> None:
    path = Path(os.fsdecode(b"/runs/\xff\xfe/ledger.db"))
    assert path_of(url_of(path)) == path


def test_what_is_no_file_has_no_path() -> None:
    assert path_of("sqlite://") is None
    assert path_of("postgresql://host/ledger") is None


def test_a_ledger_lies_where_it_was_asked_for_and_nothing_beside(tmp_path: Path) -> None:
    folder = tmp_path / "lead?v=2" / "100%41" / "a b#c {x} 'q' \"é\""
    folder.mkdir(parents=True)
    database = LedgerDatabase(url_of(folder / "ledger.db"))
    assert database.is_empty
    with contextlib.closing(Ledger.create(database, StudyConfig(name="lab").name)):
        pass
    assert not database.is_empty
    with contextlib.closing(Ledger.open(database, "lab")) as ledger:
        assert ledger.records == []
    database.copy_to(folder / "copy?.db")
    assert sorted(path.name for path in folder.iterdir()) == ["copy?.db", "ledger.db"]
    assert [path.name for path in tmp_path.iterdir()] == ["lead?v=2"]
