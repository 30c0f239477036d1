"""What the ledger says of an opening: by which code, when, for what; and that it stays."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import mvkt_ray
from mvkt_ray.search.finals.openings import Code, Opening

OPENING = Opening(
    number=1,
    finals=1,
    opened_at="2026-01-02T03:04:05+00:00",
    mvkt_ray_version="0.1.0",
    code="c" * 64,
    commit=None,
    command="mvkt finalize study",
    host="here",
    reason="",
    n_recordings=367,
    shards="s" * 64,
    split="t" * 64,
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of two files that stands in for the one that runs."""
    root = tmp_path / "mvkt_ray"
    (root / "search").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "search" / "examine.py").write_text("x = 1\n")
    monkeypatch.setattr(mvkt_ray, "__file__", str(root / "__init__.py"))
    return root


def test_the_hash_of_the_code_changes_with_any_file_and_with_nothing_else(package: Path) -> None:
    before = Code.now()
    assert Code.now() == before
    (package / "notes.txt").write_text("not code")
    assert Code.now() == before
    (package / "search" / "examine.py").write_text("x = 2\n")
    changed = Code.now()
    assert changed.code != before.code
    (package / "search" / "examine.py").rename(package / "search" / "renamed.py")
    assert Code.now().code not in (before.code, changed.code)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_commit_is_that_of_the_packages_own_checkout(package: Path) -> None:
    def git(*words: str) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        line = ["git", "-C", str(package.parent), *who, *words]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()

    assert Code.now().commit is None
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "of somebody else")
    assert Code.now().commit is None
    git("add", "mvkt_ray")
    git("commit", "--quiet", "--message", "ours")
    assert Code.now().commit == git("rev-parse", "HEAD")
    (package / "search" / "examine.py").write_text("x = 3\n")
    assert Code.now().commit == git("rev-parse", "HEAD") + "+changes"


def test_an_opening_is_read_back_from_json_as_it_was() -> None:
    over = OPENING.complete("p" * 64)
    for opening in (OPENING, over):
        assert Opening.from_json(json.loads(json.dumps(opening.to_json()))) == opening
    assert over.completed_at is not None
    assert over.completed_by == Code.now().code


def test_the_seal_is_of_how_it_was_begun_and_not_of_how_it_ended() -> None:
    assert OPENING.complete("p" * 64).seal == OPENING.seal
    later = Opening.from_json({**OPENING.to_json(), "opened_at": "2026-01-02T03:04:06+00:00"})
    assert later.seal != OPENING.seal
