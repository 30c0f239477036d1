"""The answer names no single lead where several may be the best, and no gain that is not shown."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.delivery.facts.answer import sentences_after_finals, sentences_before_finals

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
    synthetic: bool = False,
    level: float = 0.95,
) -> dict[str, Any]:
    test = {"macro_auroc": 0.87, "ci": [0.851, 0.889], "left_out": []}
    return {
        "task": "superdiagnostic",
        "classes": ["CD", "HYP", "MI", "NORM", "STTC"],
        "finals": {"number": opened},
        "answer": {"is_synthetic": synthetic},
        "best_set": list(LEADS[:n_best]),
        "test_split": {"opened": opened, "n_recordings": 371, "n_patients": 360},
        "teacher": {"leads": list(range(12)), "test": {"macro_auroc": 0.92}},
        "mean_gain": mean,
        "statistics": {"level": level},
        "leads": [
            {
                "lead": lead,
                "leads": [lead],
                "test": test,
                "gain": gain,
                "in_best_set": position < n_best,
            }
            for position, lead in enumerate(LEADS[:n_leads])
        ],
    }


def test_the_first_sentence_has_the_recordings_the_patients_the_score_and_the_ceiling() -> None:
    assert sentences_after_finals(report_of())[0] == (
        "On 371 recordings of 360 patients kept apart until the end, a model that sees lead V6 "
        "alone detects the 5 diagnostic groups with a mean AUROC of 0.870 (95 % interval 0.851 to "
        "0.889; the teacher, which sees 12 leads, has 0.920)."
    )


@given(n_leads=st.integers(1, 5), n_best=st.integers(1, 5))
def test_one_lead_is_called_best_only_when_it_is_alone_in_the_set(
    n_leads: int, n_best: int
) -> None:
    n_best = min(n_best, n_leads)
    text = " ".join(sentences_after_finals(report_of(n_best, n_leads=n_leads)))
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
    gain = gain_of(difference, half, n_leads=5)
    report = report_of(mean=gain) if of_mean else report_of(gain=gain)
    (sentence,) = [said for said in sentences_after_finals(report) if "teacher's help" in said]
    if difference - half <= 0 <= difference + half:
        assert sentence.endswith(": not shown.")
    else:
        assert sentence.endswith(": shown." if difference > 0 else ": shown to be a loss.")


def test_a_gain_that_is_not_shown_keeps_its_numbers() -> None:
    gain, mean = gain_of(0.004, 0.005), gain_of(0.0051, 0.003, n_leads=5)
    said = sentences_after_finals(report_of(3, gain=gain, mean=mean))
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
    assert said in sentences_after_finals(report_of(**parts))[-1]
    assert said not in " ".join(sentences_after_finals(report_of()))


@pytest.mark.parametrize("n_best", [1, 2])
def test_every_sentence_has_the_level_of_the_report(n_best: int) -> None:
    gain = gain_of(0.01, 0.005)
    report = report_of(n_best, gain=gain, mean=gain | {"n_leads": 5}, level=0.9)
    text = " ".join(sentences_after_finals(report))
    # The interval of the score, the confidence, and the corrected intervals of the two gains.
    assert text.count("90 %") == 4
    assert "95" not in text


def test_classes_that_no_recording_has_are_not_counted() -> None:
    report = report_of()
    for lead in report["leads"]:
        lead["test"]["left_out"] = ["HYP"]
    assert "the 4 diagnostic groups" in sentences_after_finals(report)[0]


def test_before_finals_the_best_score_is_called_optimistic_and_nothing_is_claimed() -> None:
    validation = {"macro_auroc": 0.8724}
    report = report_of(0) | {
        "finals": None,
        "study_summary": {"state": "running", "n_ended": 57, "n_trials": 96},
        "selection": {"corrected": 0.861, "n_candidates": 29},
    }
    for lead in report["leads"]:
        lead |= {"test": None, "validation": validation}
    text = " ".join(sentences_before_finals(report))
    assert text.startswith("So far (57 of 96 trials have ended) the highest mean AUROC")
    assert "0.872, of a model that sees lead V6 alone" in text
    assert "optimistic (corrected for the choice among 29 trials: 0.861)" in text
    assert "nothing is claimed" in text
    assert "best of" not in text
