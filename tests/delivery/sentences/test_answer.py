"""The answer names no single lead where several may be the best, and no gain that is not shown."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_reports import part_of, typed

from mvkt_ray.delivery.report.reported_scores import ValidationGap
from mvkt_ray.delivery.sentences.answer import sentences_after_finals, sentences_before_finals
from mvkt_ray.delivery.sentences.classes_counted import left_out_sentence, over_classes
from mvkt_ray.delivery.sentences.from_validation_to_test import gap_sentence

LEADS = ("V6", "V5", "aVR", "II", "I")


def gain_of(difference: float, half: float, **more: Any) -> dict[str, Any]:
    low, high = difference - half, difference + half
    return {
        "over": "student_alone",
        "difference": difference,
        "ci_corrected": [low, high],
        "claimed": low > 0 or high < 0,
        **more,
    }


def report_of(
    n_best: int = 1,
    *,
    n_leads: int = 5,
    gain: dict[str, Any] | None = None,
    mean: dict[str, Any] | None = None,
    opened: int = 1,
    finals: int | None = None,
    begun: dict[str, Any] | None = None,
    gap: dict[str, Any] | None = None,
    contender: str = "chosen",
    synthetic: bool = False,
    level: float = 0.95,
) -> dict[str, Any]:
    test = {"macro_auroc": 0.87, "ci": [0.851, 0.889], "left_out": []}
    return {
        "task": "superdiagnostic",
        "classes": ["CD", "HYP", "MI", "NORM", "STTC"],
        "finals": {"number": finals or opened, "can_be_scored": True},
        "finals_begun": begun,
        "sizes": None,
        "validation_gap": gap,
        "answer": {"is_synthetic": synthetic, "contender": contender},
        "best_set": list(LEADS[:n_best]),
        "test_split": {
            "opened": opened,
            "openings": [{"finals": number} for number in range(1, opened + 1)],
            "n_recordings": 371,
            "n_patients": 360,
        },
        "data": None,
        "teacher": {"leads": list(range(12)), "test": test | {"macro_auroc": 0.92}},
        "mean_gain": mean,
        "teacher_gap": None,
        "statistics": {"level": level},
        "leads": [
            {
                "lead": lead,
                "leads": [lead],
                "test": test,
                "validation": None,
                "gain": gain,
                "in_best_set": position < n_best,
            }
            for position, lead in enumerate(LEADS[:n_leads])
        ],
    }


def test_the_first_sentence_has_the_recordings_the_patients_the_score_and_the_ceiling() -> None:
    assert sentences_after_finals(typed(report_of()))[0] == (
        "On 371 recordings of 360 patients kept apart until the end, a model that sees lead V6 "
        "alone detects the 5 diagnostic groups with a mean AUROC of 0.870 (95 % interval 0.851 to "
        "0.889; the teacher, which sees 12 leads, has 0.920)."
    )


@given(n_leads=st.integers(1, 5), n_best=st.integers(1, 5))
def test_one_lead_is_called_best_only_when_it_is_alone_in_the_set(
    n_leads: int, n_best: int
) -> None:
    n_best = min(n_best, n_leads)
    text = " ".join(sentences_after_finals(typed(report_of(n_best, n_leads=n_leads))))
    assert ("is the best of" in text) == (n_best == 1 and n_leads > 1)
    if n_best > 1:
        assert "no single lead is named best" in text
    if 1 < n_best < n_leads:
        assert all(lead in text for lead in LEADS[:n_best])


@settings(max_examples=50)
@given(difference=st.floats(-0.1, 0.1), half=st.floats(0, 0.1), of_mean=st.booleans())
def test_a_gain_is_called_shown_only_when_its_corrected_interval_leaves_out_zero(
    difference: float, half: float, of_mean: bool
) -> None:
    gain = gain_of(difference, half)
    report = report_of(mean=gain | {"n_leads": 5}) if of_mean else report_of(gain=gain)
    (sentence,) = [
        said for said in sentences_after_finals(typed(report)) if "teacher's help" in said
    ]
    if difference - half <= 0 <= difference + half:
        assert sentence.endswith(": not shown.")
    else:
        assert sentence.endswith(": shown." if difference > 0 else ": shown to be a loss.")


def test_a_gain_that_is_not_shown_keeps_its_numbers() -> None:
    gain, mean = gain_of(0.004, 0.005), gain_of(0.0051, 0.003, n_leads=5)
    said = sentences_after_finals(typed(report_of(3, gain=gain, mean=mean)))
    assert said[1:] == [
        "V5 and aVR cannot be told apart from it (95 % confidence), so no single lead is named "
        "best.",
        "The teacher's help is worth +0.004 (corrected 95 % interval -0.001 to +0.009) for V6: "
        "not shown.",
        "It is worth +0.005 (corrected 95 % interval +0.002 to +0.008) on average over 5 leads: "
        "shown.",
    ]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"opened": 3}, "looked at 3 times"),
        ({"synthetic": True}, "made up by a program"),
    ],
)
def test_what_weakens_the_answer_stands_in_it(parts: dict[str, Any], said: str) -> None:
    assert said in sentences_after_finals(typed(report_of(**parts)))[-1]
    assert said not in " ".join(sentences_after_finals(typed(report_of())))


@pytest.mark.parametrize("n_best", [1, 2])
def test_every_sentence_has_the_level_of_the_report(n_best: int) -> None:
    gain = gain_of(0.01, 0.005)
    report = report_of(n_best, gain=gain, mean=gain | {"n_leads": 5}, level=0.9)
    text = " ".join(sentences_after_finals(typed(report)))
    # The interval of the score, the confidence, and the corrected intervals of the two gains.
    assert text.count("90 %") == 4
    assert "95" not in text


def test_classes_that_no_recording_has_are_not_counted_and_named() -> None:
    report = report_of()
    for lead in report["leads"]:
        lead["test"]["left_out"] = ["HYP"]
    first, second, *_ = sentences_after_finals(typed(report))
    assert "detects 4 of the 5 diagnostic groups with" in first
    assert second == "No test recording has HYP, so it is in no mean AUROC of that split."


def test_finals_that_are_under_way_do_not_count_as_looks_of_those_before() -> None:
    begun = {"number": 2, "n_trainings": 24, "n_ended": 7, "is_opened": True}
    text = " ".join(sentences_after_finals(typed(report_of(opened=2, finals=1, begun=begun))))
    assert "kept apart until the end" in text
    assert "looked at" not in text
    assert "Finals 2 were begun and are not over (7 of 24 trainings have ended)" in text


def test_after_a_second_opening_recordings_are_not_called_kept_apart() -> None:
    first, *_, last = sentences_after_finals(typed(report_of(opened=2)))
    assert "kept apart until" not in first
    assert "looked at 2 times" in last


@pytest.mark.parametrize(
    ("teacher", "said"),
    [(["V6"], "the same lead"), (["II"], "lead II"), (["I", "II"], "2 leads")],
)
def test_what_the_teacher_sees_is_named(teacher: list[str], said: str) -> None:
    report = report_of()
    report["teacher"]["leads"] = teacher
    assert f"the teacher, which sees {said}, has" in sentences_after_finals(typed(report))[0]


@pytest.mark.parametrize(
    ("contender", "over", "said"),
    [
        ("chosen", "student_alone", "The teacher's help is worth"),
        ("mkd_only", "student_alone", "The teacher's help is worth"),
        ("student_alone", "plain_kd", "The answer 'student_alone', compared with 'plain_kd', is"),
        ("mine", "student_alone", "The answer 'mine', compared with 'student_alone', is"),
    ],
)
def test_help_of_the_teacher_is_said_only_of_who_was_taught(
    contender: str, over: str, said: str
) -> None:
    gain = gain_of(0.02, 0.01, over=over)
    text = " ".join(sentences_after_finals(typed(report_of(gain=gain, contender=contender))))
    assert said in text


def gap_of(test: float, corrected: float | None = 0.88, **more: Any) -> dict[str, Any]:
    return {
        "lead": "V6",
        "validation": 0.897,
        "corrected": corrected,
        "n_candidates": 9,
        "test": test,
        "difference": test - 0.897,
        "mean_difference": test - 0.9,
        "n_leads": 5,
        "same_classes": True,
        **more,
    }


def test_the_gap_from_validation_to_test_is_said_with_what_it_may_mean() -> None:
    (said,) = [
        each
        for each in sentences_after_finals(typed(report_of(gap=gap_of(0.839))))
        if "On valid" in each
    ]
    assert said == (
        "On validation this configuration of V6 had 0.897 (0.880 once corrected for the choice "
        "among 9 trials); the test score is 0.058 lower: choosing made the first one optimistic, "
        "and what is missing beyond the corrected score may come from another case mix of the "
        "test recordings."
    )


@settings(max_examples=50)
@given(test=st.floats(0.5, 1.0), corrected=st.none() | st.floats(0.5, 1.0), same=st.booleans())
def test_a_gap_is_called_lower_only_where_the_test_score_is(
    test: float, corrected: float | None, same: bool
) -> None:
    said = gap_sentence(part_of(ValidationGap, gap_of(test, corrected, same_classes=same)))
    difference = test - 0.897
    assert ("lower" in said) == (difference <= -0.0005)
    assert ("higher" in said) == (difference >= 0.0005)
    assert ("optimistic" in said) == (difference <= -0.0005)
    only = gap_sentence(part_of(ValidationGap, gap_of(test, None, n_candidates=1)))
    assert "optimistic" not in only
    assert ("beyond the corrected" in said) == (
        difference <= -0.0005 and corrected is not None and test < corrected
    )
    assert ("not over the same classes" in said) == (not same)


def test_before_finals_the_best_score_is_called_optimistic_and_nothing_is_claimed() -> None:
    validation = {"macro_auroc": 0.8724, "left_out": []}
    report = report_of(0) | {
        "finals": None,
        "study_summary": {"state": "running", "n_ended": 57, "n_trials": 96},
        "selection": {"corrected": 0.861, "n_candidates": 29},
    }
    for lead in report["leads"]:
        lead |= {"test": None, "validation": validation}
    text = " ".join(sentences_before_finals(typed(report)))
    assert "`mvkt finalize` examines every lead, once" in text
    assert text.startswith("So far (57 of 96 trials have ended) the highest mean AUROC")
    assert "0.872, of a model that sees lead V6 alone" in text
    assert "optimistic (corrected for the choice among 29 trials: 0.861)" in text
    assert "nothing is claimed" in text
    assert "best of" not in text


def test_before_finals_the_classes_of_the_validation_mean_are_counted() -> None:
    validation = {"macro_auroc": 0.8724, "left_out": ["HYP", "MI"]}
    report = report_of(0, begun={"number": 1, "n_trainings": 8, "n_ended": 3, "is_opened": False})
    report |= {
        "finals": None,
        "study_summary": {"state": "finished", "n_ended": 96, "n_trials": 96},
        "selection": None,
    }
    for lead in report["leads"]:
        lead |= {"test": None, "validation": validation}
    text = " ".join(sentences_before_finals(typed(report)))
    assert "over 3 of the 5 diagnostic groups is 0.872" in text
    assert "No validation recording has HYP and MI, so they are in no mean" in text
    # Finals that are under way are told, and not advised.
    assert "Finals 1 were begun and are not over (3 of 8" in text
    assert "examines every lead" not in text


def test_a_lead_without_a_complete_trial_is_named() -> None:
    report = report_of(0) | {
        "finals": None,
        "study_summary": {"state": "finished", "n_ended": 96, "n_trials": 96},
        "selection": None,
    }
    for lead in report["leads"]:
        lead |= {"test": None, "validation": {"macro_auroc": 0.87, "left_out": []}}
    report["leads"][-1]["validation"] = None
    text = " ".join(sentences_before_finals(typed(report)))
    assert "I has no complete trial of the search, so it is not ranked." in text
    assert "examines every lead" not in text
    assert "needs a complete trial of each" in text


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ({"state": "running", "n_ended": 3, "n_trials": 9}, "So far 3 of 9 trials have ended"),
        ({"state": "finished", "n_ended": 9, "n_trials": 9}, "(9 failed)"),
        ({"state": "finished", "n_ended": 0, "n_trials": 0}, "has no search"),
    ],
)
def test_with_nothing_to_rank_it_is_said_how_far_the_search_is(
    summary: dict[str, Any], said: str
) -> None:
    states = {"states": {"complete": 0, "failed": summary["n_ended"]}}
    report = report_of(0) | {"finals": None, "study_summary": summary | states}
    (sentence,) = sentences_before_finals(typed(report))
    assert said in sentence
    assert ("yet" in sentence) == (summary["state"] == "running")


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        ([], "the 5 classes"),
        (["a"], "4 of the 5 classes"),
        (["a", "b", "c", "d"], "1 of the 5 classes"),
    ],
)
def test_a_mean_names_how_many_classes_it_is_over(left_out: list[str], said: str) -> None:
    assert over_classes(5, left_out) == said
    assert over_classes(1, []) == "the one class"


def test_a_class_of_every_recording_is_told_from_one_of_none() -> None:
    report = report_of()
    for lead in report["leads"]:
        lead["test"]["left_out"] = ["HYP", "MI"]
    counts = {"n_recordings": 371, "n_positive": {"HYP": 371, "MI": 0}}
    report["data"] = {"splits": {"test": counts}}
    assert left_out_sentence(typed(report), "test") == (
        "No test recording has MI and every test recording has HYP, so they are in no mean AUROC "
        "of that split."
    )
    assert "2 classes" in left_out_sentence(typed(report), "test", most=1)
