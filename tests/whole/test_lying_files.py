"""The benchmark of files that lie: damage is damage, and its page counts what was judged."""

import random
from pathlib import Path

import pytest

from benchmarks.lying_files.damage import DAMAGES, damage
from benchmarks.lying_files.judging import COMMANDS, VERDICTS
from benchmarks.lying_files.kinds import KINDS, commands_of
from benchmarks.lying_files.making import BASES
from benchmarks.lying_files.page import page


def test_the_page_counts_every_verdict_once() -> None:
    verdicts = [
        {"kind": KINDS[0].name, "damage": DAMAGES[0], "quick": quick, "verdict": verdict}
        for quick, verdict in zip((True, True, False, True), VERDICTS, strict=True)
    ]
    not_possible = {"damage": DAMAGES[4], "quick": False, "verdict": "not possible"}
    verdicts.append({"kind": KINDS[0].name, **not_possible})
    lines = page(verdicts).splitlines()
    assert f"| {KINDS[0].name} | {DAMAGES[0]} | 4 | 1 | 1 | 1 | 1 |" in lines
    assert lines[-1] == "| all, 1 by commands | | 4 | 1 | 1 | 1 | 1 |"


def test_every_kind_is_read_by_what_there_is() -> None:
    for kind in KINDS:
        known = {*commands_of(kind, quick=True), *commands_of(kind, quick=False)}
        assert known
        assert known <= COMMANDS.keys()
        assert kind.base in BASES


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_changes_a_file_or_says_that_it_did_not(how: str, tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    other.write_bytes(b"another")
    for seed in range(20):
        file.write_bytes(b"content of a file" * 9)
        said = damage(file, how, random.Random(seed), [other])
        assert bool(said) == (file.read_bytes() != b"content of a file" * 9)
