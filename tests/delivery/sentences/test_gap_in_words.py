"""A lead is said to hide something only where its ensemble is shown to be behind the teacher."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_reports import part_of, typed

from mvkt_ray.delivery.facts.gaps.teacher_gap import NO_GAP
from mvkt_ray.delivery.report.reported_differences import GapRow
from mvkt_ray.delivery.sentences.gap_in_words import (
    is_left,
    teacher_gap_caption,
    teacher_gap_figure_caption,
    teacher_gap_sentences,
)


def row_of(
    name: str | None,
    *,
    left: float = 0.033,
    half: float = 0.01,
    reason: str | None = None,
    ensemble: bool = True,
) -> dict[str, Any]:
    def part(difference: float, fraction: float) -> dict[str, Any]:
        ends = [difference - half, difference + half]
        shares = [fraction - 0.19, fraction + 0.19]
        return {"difference": difference, "ci": ends, "fraction": fraction, "fraction_ci": shares}

    return {
        "class": name,
        "n_positive": None if name is None else 40,
        "too_few": False,
        "alone": 0.84,
        "answer": 0.86,
        "ensemble": 0.867 if ensemble else None,
        "teacher": 0.9,
        "gap": {"difference": 0.06, "ci": [0.04, 0.08]},
        "closed": part(0.02, 0.31),
        "attainable": part(0.007, 0.14) if ensemble else None,
        "left": part(left, 0.55),
        "reason": reason,
    }


def report_of(*rows: dict[str, Any], n_students: int = 5) -> dict[str, Any]:
    lead = {"lead": "V5", "n_students": n_students, "rows": list(rows)}
    return {
        "answer": {"contender": "chosen"},
        "statistics": {"level": 0.95},
        "teacher_gap": {"baseline": "student_alone", "leads": [lead]},
    }


def test_what_is_closed_attainable_and_left_is_said_with_its_numbers() -> None:
    classes = [row_of("MI", left=0.08), row_of("CD", left=0.05), row_of("HYP", left=0.004)]
    assert teacher_gap_sentences(typed(report_of(row_of(None), *classes)), "V5") == [
        "Of the gap of 0.060 between the student alone of V5 and the teacher the distilled student "
        "closes 31 % (12 % to 50 %); an ensemble of 5 of them closes 45 %.",
        "What the ensemble does not reach either, 0.033 (95 % interval +0.023 to +0.043), most in "
        "MI (0.080) and CD (0.050), is probably not visible in V5.",
    ]


@given(left=st.floats(-0.05, 0.1), half=st.floats(0, 0.1), ensemble=st.booleans())
def test_probably_is_said_only_where_an_ensemble_is_shown_to_be_behind(
    left: float, half: float, ensemble: bool
) -> None:
    row = row_of(None, left=left, half=half, ensemble=ensemble)
    said = " ".join(teacher_gap_sentences(typed(report_of(row)), "V5"))
    assert (
        ("probably not visible" in said)
        == (ensemble and left - half > 0)
        == is_left(part_of(GapRow, row))
    )
    if ensemble and left - half <= 0:
        assert "nothing says that V5 hides anything" in said


def test_without_a_gap_nothing_is_shared_out() -> None:
    row = row_of(None, reason=NO_GAP)
    (said,) = teacher_gap_sentences(typed(report_of(row)), "V5")
    assert said.endswith("so there is no gap to speak of.")
    assert "closes" not in said
    assert not is_left(part_of(GapRow, row))


def test_a_class_of_too_few_recordings_is_not_named() -> None:
    rare = row_of("HYP", left=0.2) | {"too_few": True}
    said = " ".join(teacher_gap_sentences(typed(report_of(row_of(None), rare)), "V5"))
    assert "HYP" not in said
    assert "probably not visible in V5" in said


def test_of_one_seed_no_ensemble_is_spoken_of_as_if_there_were_one() -> None:
    report = report_of(row_of(None, ensemble=False), n_students=1)
    (said,) = teacher_gap_sentences(typed(report), "V5")
    assert "there is no ensemble" in said
    assert "Attainable" not in teacher_gap_caption(typed(report))
    assert "ensemble" not in teacher_gap_figure_caption(typed(report), 6)


@pytest.mark.parametrize("lead", ["V5", "II"])
def test_without_a_comparison_nothing_is_said(lead: str) -> None:
    report = report_of(row_of(None)) | {"teacher_gap": None}
    assert teacher_gap_sentences(typed(report), lead) == []
    assert teacher_gap_caption(typed(report)) == teacher_gap_figure_caption(typed(report), 6) == ""
    assert teacher_gap_sentences(typed(report_of(row_of(None))), "aVR") == []


def test_captions_name_the_number_of_students_and_what_is_not_drawn() -> None:
    report = report_of(row_of(None))
    assert "probabilities of 5 of these students" in teacher_gap_caption(typed(report))
    assert "It is no proof" in teacher_gap_caption(typed(report))
    assert "are drawn." in teacher_gap_figure_caption(typed(report), 0)
