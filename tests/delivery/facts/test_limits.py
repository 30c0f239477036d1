"""What the data cannot say is said, and nothing that does not apply."""

import copy
from typing import Any

import pytest

from mvkt_ray.delivery.facts.limits import describe_limits


@pytest.fixture
def report(final_report: dict[str, Any]) -> dict[str, Any]:
    """The final report as if its recordings were of people."""
    changed = copy.deepcopy(final_report)
    changed["answer"]["is_synthetic"] = changed["data"]["is_synthetic"] = False
    changed["data"]["source"] = "ptbxl"
    return changed


def says(report: dict[str, Any], part: str) -> bool:
    return any(part in limit for limit in describe_limits(report))


def test_real_recordings_have_the_limits_of_one_data_set_and_of_simulated_leads(
    report: dict[str, Any],
) -> None:
    assert says(report, "one data set (ptbxl)")
    assert says(report, "taken out of a recording of 12 leads")
    assert not says(report, "made up by a program")


def test_synthetic_recordings_are_no_finding(final_report: dict[str, Any]) -> None:
    assert "made up by a program" in describe_limits(final_report)[0]
    assert not says(final_report, "one data set")


def test_before_finals_every_score_is_optimistic(searched_report: dict[str, Any]) -> None:
    assert says(searched_report, "they are optimistic")
    assert not says(searched_report, "test split was opened")


def test_one_seed_is_said_to_know_nothing_of_seeds(report: dict[str, Any]) -> None:
    assert says(report, "2 seeds each")
    report["finals"]["seeds"] = [0]
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
    assert says(report, "5% of studies")


def test_quarantined_recordings_are_counted_by_reason(report: dict[str, Any]) -> None:
    report["data"] |= {"n_quarantined": 3, "quarantine": {"flat_lead": 2, "nan": 1}}
    assert says(report, "3 recordings could not be used (flat_lead 2, nan 1)")
