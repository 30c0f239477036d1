"""The page of where the teacher pays: from what was kept, without any run."""

from pathlib import Path

from benchmarks.teacher_pays.__main__ import ROTATED
from benchmarks.teacher_pays.gap_parts import rotation_part
from benchmarks.teacher_pays.kept import keep
from benchmarks.teacher_pays.page import write_page


def test_every_part_that_was_kept_is_on_the_page_again(tmp_path: Path) -> None:
    page = write_page(tmp_path / "no runs", "the command", ROTATED)
    for head in ("Ways to teach", "Labels", "Controls", "Rotating folds"):
        assert f"## {head}" in page
    assert "nan" not in page


def test_what_is_found_takes_the_place_of_what_was_kept(tmp_path: Path) -> None:
    assert keep("part", None, tmp_path) is None
    assert keep("part", {"gain": 0.5}, tmp_path) == {"gain": 0.5}
    assert keep("part", None, tmp_path) == {"gain": 0.5}
    assert keep("part", {"gain": 0.25}, tmp_path) == {"gain": 0.25}


def row(lead: str, gain: float, low: float) -> dict[str, object]:
    return {
        "contender": "mkd",
        "lead": lead,
        "alone": 0.8,
        "score": 0.8 + gain,
        "teacher": 0.9,
        "gain": gain,
        "ci_patients": [low, 2 * gain - low],
        "ci_folds": [low, 2 * gain - low],
        "by_class": [{"gain": gain, "gap": 0.05}, {"gain": 0.0, "gap": 0.15}],
    }


def test_the_rotation_says_where_a_gain_is_shown_and_whether_the_aim_is_met() -> None:
    rows = [row("II", 0.02, 0.01), row("V5", 0.01, -0.01), row("mean", 0.015, 0.005)]
    found = {"folds": [1, 2], "classes": ["MI", "CD"], "n_recordings": 9, "n_patients": 8}
    said = rotation_part({**found, "rows": rows})
    assert "both intervals are above 0 in 1 of 2 (II). The aim of 0.012 is met." in said
    assert "of the gap in CD 0 % of 0.150, MI 30 % of 0.050." in said
    assert "2 of 9 folds so far, 7 to go" in said
    missed = rotation_part({**found, "rows": [*rows[:2], row("mean", 0.005, -0.001)]})
    assert "The aim of 0.012 is missed." in missed
