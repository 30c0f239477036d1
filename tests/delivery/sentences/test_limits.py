"""What the data cannot say is said, and nothing that does not apply."""

import copy
from typing import Any

import pytest
from typed_reports import typed

from mvkt_ray.delivery.sentences.limits import describe_limits


@pytest.fixture
def report(final_report: dict[str, Any]) -> dict[str, Any]:
    """The final report as if its recordings were of people."""
    changed = copy.deepcopy(final_report)
    changed["answer"]["is_synthetic"] = changed["data"]["is_synthetic"] = False
    changed["data"]["source"] = "ptbxl"
    return changed


def says(report: dict[str, Any], part: str) -> bool:
    return any(part in limit for limit in describe_limits(typed(report)))


def test_real_recordings_have_the_limits_of_one_data_set_and_of_simulated_leads(
    report: dict[str, Any],
) -> None:
    assert says(report, "one source (ptbxl)")
    assert says(report, "taken out of a recording of 12 leads")
    assert not says(report, "made up by a program")


def test_synthetic_recordings_are_no_finding(final_report: dict[str, Any]) -> None:
    assert "made up by a program" in describe_limits(typed(final_report))[0]
    assert not says(final_report, "one source")


def test_before_finals_every_score_is_optimistic(searched_report: dict[str, Any]) -> None:
    assert says(searched_report, "they are optimistic")
    assert not says(searched_report, "test split was opened")


def test_one_seed_is_said_to_know_nothing_of_seeds(report: dict[str, Any]) -> None:
    assert says(report, "2 seeds each")
    for lead in report["leads"]:
        lead["contenders"]["plain_kd"]["test"]["n_seeds"] = 1
    assert says(report, "1 to 2 seeds")
    for lead in report["leads"]:
        for contender in lead["contenders"].values():
            contender["test"]["n_seeds"] = 1
    assert says(report, "intervals know nothing of seeds")


def test_a_search_that_went_on_after_the_finals_is_told(report: dict[str, Any]) -> None:
    assert not says(report, "went on after the finals")
    report["leads"][0]["search"]["best_trial"] = 99
    assert says(report, f"for {report['leads'][0]['lead']} it has found")


def test_refit_finals_have_no_thresholds(report: dict[str, Any]) -> None:
    assert not says(report, "choose thresholds")
    report["finals"]["refit"] = True
    assert says(report, "choose thresholds")


def test_leads_that_were_raced_out_are_named_with_the_error_rate(report: dict[str, Any]) -> None:
    report["racing"] = {"stopped": ["V2", "I"], "error_rate": 0.05}
    assert says(report, "V2 and I stopped getting trials")
    assert says(report, "5 % of studies")


def test_quarantined_recordings_are_counted_by_reason(report: dict[str, Any]) -> None:
    report["data"] |= {"n_quarantined": 3, "quarantine": {"flat_lead": 2, "nan": 1}}
    assert says(report, "3 recordings could not be used (flat lead 2, nan 1)")


def test_recordings_in_no_split_are_counted_with_the_reason(report: dict[str, Any]) -> None:
    n_used = sum(split["n_recordings"] for split in report["data"]["splits"].values())
    report["data"] |= {
        "n_recordings": n_used + 62,
        "n_without_label": 54,
        "n_without_fold": 7,
        "n_in_other_folds": 1,
        "other_folds": [11],
        "n_without_lead": 0,
    }
    assert says(
        report,
        "The other 62 are in no split and not used: 7 have no fold, 1 is of a fold that no split "
        "names (11) and 54 have no known label of the task.",
    )


def test_what_recordings_do_not_state_and_what_the_ingest_said_is_told(
    report: dict[str, Any],
) -> None:
    assert not says(report, "assumed")
    report["data"] |= {
        "n_with_assumed_gain": 1200,
        "n_with_assumed_rate": 1,
        "remarks": ["no patient is named for 2 recordings."],
    }
    assert says(report, "1,200 recordings state no gain")
    assert says(report, "1 recording states no sampling rate")
    assert says(report, "No patient is named for 2 recordings.")


def test_splits_that_average_over_other_classes_are_told_apart(report: dict[str, Any]) -> None:
    assert not says(report, "not over the same classes")
    for lead in report["leads"]:
        lead["validation"]["left_out"] = ["AF"]
        for scores in (lead["test"], lead["contenders"]["chosen"]["test"]):
            scores["per_class"]["AF"]["threshold"] = None
    report["teacher"]["validation"]["left_out"] = ["AF"]
    assert says(report, "No validation recording has AF, so it is in no mean AUROC")
    assert says(report, "Means on validation and on test are not over the same classes")
    assert says(report, "No validation recording has AF, so there is no threshold")


def test_finals_that_are_not_over_are_told_from_those_of_the_report(
    report: dict[str, Any],
) -> None:
    assert not says(report, "not over")
    report["finals_begun"] = {"number": 2, "n_trainings": 8, "n_ended": 8, "is_opened": True}
    assert says(report, "What is said here is of finals 1.")
    assert says(report, "examination on the test split was begun and is not complete")


def test_students_that_assistants_taught_are_said_to_be(report: dict[str, Any]) -> None:
    assert says(report, "taught every student that was taught. Another")
    report["teacher"]["assistant"] = "xresnet1d18"
    assert says(report, "by way of one assistant for each lead (xresnet1d18, trained once).")
