"""Which small student is enough: decided on validation, and careful about the test split."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typed_reports import typed

from mvkt_ray.delivery.sentences.captions import looked_for
from mvkt_ray.delivery.sentences.small_students import sizes_caption, small_student_sentences

SMALL = {
    "trial": 4,
    "macro_auroc": 0.8123,
    "n_parameters": 7_933,
    "n_multiply_accumulates": 203_456,
    "latency_ms": None,
}
BEST = {
    "trial": 9,
    "macro_auroc": 0.8201,
    "n_parameters": 91_621,
    "n_multiply_accumulates": 2_396_864,
    "latency_ms": None,
}


def on_test(point: dict[str, Any], contender: str, macro_auroc: float) -> dict[str, Any]:
    return {"contender": contender, "trial": point["trial"], "macro_auroc": macro_auroc}


def report_of(
    *,
    lead: str = "II",
    front: tuple[dict[str, Any], ...] = (SMALL, BEST),
    examined: tuple[dict[str, Any], ...] | None = None,
    gains: tuple[dict[str, Any], ...] = (),
    answer: str = "chosen",
    by: str = "parameters",
) -> dict[str, Any]:
    """Before finals, unless something was examined."""
    entry = {
        "lead": lead,
        "front": list(front),
        "best": front[-1]["trial"],
        "nearly_as_good": front[0]["trial"],
        "examined": list(examined or ()),
    }
    return {
        "answer": {"highest": lead, "contender": answer},
        "finals": None if examined is None else {"number": 1},
        "sizes": {"by": by, "margin": 0.01, "window_s": 2.5, "leads": [entry]},
        "statistics": {"level": 0.95},
        "leads": [{"lead": lead, "gains": list(gains)}],
    }


def test_before_finals_both_sizes_and_both_scores_are_said_to_be_of_validation():
    assert small_student_sentences(typed(report_of())) == [
        "Of the students of lead II the smallest within 0.01 of the best on validation has 7,933 "
        "parameters and 203,456 multiply-accumulates per 2.5 s window: 0.812 against 0.820 of the "
        "best, which has 91,621 parameters."
    ]


def test_where_the_best_is_the_smallest_there_is_one_student_to_speak_of():
    assert small_student_sentences(typed(report_of(front=(BEST,), lead="I+V5"))) == [
        "Of the students of leads I+V5 the best on validation is also the smallest within 0.01 of "
        "it: it has 91,621 parameters and 2.4 million multiply-accumulates per 2.5 s window."
    ]


def test_a_measured_latency_is_said():
    [said] = small_student_sentences(
        typed(report_of(front=(SMALL | {"latency_ms": 1.234}, BEST), by="latency_ms"))
    )
    assert "the fastest within 0.01" in said
    assert "window, and takes 1.23 ms for a recording of 10 s: 0.812" in said


@given(st.floats(-0.05, 0.05), st.floats(0.001, 0.05))
def test_after_finals_a_loss_is_shown_only_where_its_corrected_interval_leaves_out_zero(
    difference: float, half: float
):
    low, high = difference - half, difference + half
    gain = {
        "over": "chosen_2",
        "difference": difference,
        "ci_corrected": [low, high],
        "claimed": low > 0 or high < 0,
    }
    examined = (on_test(BEST, "chosen", 0.805), on_test(SMALL, "chosen_2", 0.8))
    _, said = small_student_sentences(typed(report_of(examined=examined, gains=(gain,))))
    assert said.startswith("On the test split they have 0.800 against 0.805")
    assert "; the larger one is worth " in said
    assert said.endswith("): shown.") == (low > 0 or high < 0)
    assert said.endswith("): not shown.") == (low <= 0 <= high)


def test_what_finals_did_not_examine_is_not_spoken_of():
    for examined in ((), (on_test(BEST, "chosen", 0.805),)):
        _, said = small_student_sentences(typed(report_of(examined=examined)))
        assert said == "The finals did not examine both, so nothing is said of the test split."


def test_another_answer_than_the_best_is_no_difference_of_the_two():
    examined = (on_test(BEST, "chosen", 0.805), on_test(SMALL, "chosen_2", 0.8))
    gain = {"over": "chosen_2", "difference": 0.1, "ci_corrected": [0.05, 0.15], "claimed": True}
    _, said = small_student_sentences(
        typed(report_of(examined=examined, gains=(gain,), answer="student_alone"))
    )
    assert said == "On the test split they have 0.800 against 0.805."


@pytest.mark.parametrize("sizes", [None, {"leads": []}])
def test_of_students_of_one_size_nothing_is_said(sizes: dict[str, Any] | None):
    assert small_student_sentences(typed(report_of() | {"sizes": sizes})) == []


def test_the_caption_names_the_squares_only_where_there_are_some():
    assert "Squares" not in sizes_caption(typed(report_of()))
    assert "Squares" in sizes_caption(typed(report_of(examined=(on_test(BEST, "chosen", 0.8),))))
    assert sizes_caption(typed({"sizes": None})) == ""


@pytest.mark.parametrize(
    ("objectives", "limits", "said"),
    [
        (["macro_auroc"], {"parameters": None, "macs": None}, ""),
        (
            ["macro_auroc", "macs", "parameters"],
            {"parameters": None, "macs": None},
            "It looked for high scores at few multiply-accumulates and parameters.",
        ),
        (
            ["macro_auroc", "parameters"],
            {"parameters": 100_000, "macs": 2e6},
            "It looked for high scores at few parameters, among students of at most 100,000 "
            "parameters and 2,000,000 multiply-accumulates.",
        ),
        (
            ["macro_auroc"],
            {"parameters": 5_000, "macs": None},
            "It was among students of at most 5,000 parameters.",
        ),
    ],
)
def test_the_page_says_what_the_search_looked_for(
    objectives: list[str], limits: dict[str, float | None], said: str
):
    assert (
        looked_for(typed({"study_summary": {"objectives": objectives, "limits": limits}})) == said
    )
