"""A search on a disk that runs out ends in one paragraph, and goes on when there is room."""

import random
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.lying_files.damage import DAMAGES, damage
from benchmarks.lying_files.full_disk import fill_and_search, small_disk
from benchmarks.lying_files.judging import VERDICTS
from benchmarks.lying_files.kinds import KINDS
from benchmarks.lying_files.page import page
from tests.whole.test_pipeline import TINY


def test_a_search_on_a_full_disk_goes_on_to_the_same_numbers(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("mounts a file system of Linux")
    try:
        with small_disk(tmp_path / "tried"):
            pass
    except OSError as error:
        pytest.skip(f"this process may not mount: {error}")
    study = {**TINY, "search": {**TINY["search"], "n_trials": 4}, "student": {"epochs": 1}}
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(study))
    judged = fill_and_search(tmp_path / "disk", file, 0.9)
    assert judged.verdict == "refused", judged.said
    assert "--resume" in judged.said


def test_the_page_counts_every_verdict_once() -> None:
    verdicts = [
        {"kind": KINDS[0].name, "damage": DAMAGES[0], "verdict": verdict} for verdict in VERDICTS
    ]
    verdicts.append({"kind": KINDS[0].name, "damage": DAMAGES[4], "verdict": "not possible"})
    lines = page(verdicts).splitlines()
    assert f"| {KINDS[0].name} | {DAMAGES[0]} | 4 | 1 | 1 | 1 | 1 |" in lines
    assert lines[-1] == "| all | | 4 | 1 | 1 | 1 | 1 |"


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_changes_a_file_or_says_that_it_did_not(how: str, tmp_path: Path) -> None:
    file, other = tmp_path / "a", tmp_path / "b"
    other.write_bytes(b"another")
    for seed in range(20):
        file.write_bytes(b"content of a file" * 9)
        said = damage(file, how, random.Random(seed), [other])
        assert bool(said) == (file.read_bytes() != b"content of a file" * 9)
