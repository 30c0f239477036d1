"""What a study took and what was saved, by hand."""

from dataclasses import replace
from typing import Any

import pytest
from made_up_study import made_up_config

from mvkt_ray.config.resources import CostConfig, NodeTypeConfig, ResourcesConfig
from mvkt_ray.config.search_config import ParameterConfig
from mvkt_ray.delivery.report.report_json import plain_report
from mvkt_ray.delivery.write_report import build_report
from mvkt_ray.records import Reservation, Usage
from mvkt_ray.slots import Node


def test_the_cost_counts_every_training(final_report: dict[str, Any]) -> None:
    cost = final_report["cost"]
    ended = {state: n for state, n in cost["trials"].items() if n}
    # Two of the sixteen searched trials were pruned after 2 of 6 epochs; an epoch took 2 s.
    assert ended == {"complete": 22, "pruned": 2}
    assert cost["epochs_trained"] == 22 * 6 + 2 * 2
    assert cost["trial_wall_s"] == 2.0 * cost["epochs_trained"]
    assert cost["trial_cpu_s"] == 1.5 * cost["epochs_trained"]
    assert cost["final_wall_s"] == 24 * 6 * 2.0
    assert cost["total_wall_s"] == cost["trial_wall_s"] + cost["final_wall_s"] + 25.0
    assert cost["trial_gpu_s"] == cost["total_gpu_s"] == 0


def test_pruning_saved_the_epochs_that_were_not_trained(final_report: dict[str, Any]) -> None:
    assert final_report["cost"]["epochs_saved_by_pruning"] == 2 * 4
    assert final_report["cost"]["saved_by_pruning_s"] == 2 * 4 * 2.0


def test_a_pruned_trial_is_spared_no_more_epochs_than_it_was_to_have(make_study: Any) -> None:
    config = made_up_config()
    # Three epochs of the study's six; pruned after two of them, as above.
    space = {**config.space, "epochs": ParameterConfig(value=3)}
    study = make_study(config=replace(config, space=space), has_finals=False)
    cost = plain_report(build_report(study))["cost"]
    assert cost["trials"]["pruned"] == 2
    assert cost["epochs_saved_by_pruning"] == 2 * 1
    assert cost["saved_by_pruning_s"] == 2 * 1 * 2.0


def test_knowledge_saved_the_forward_passes_of_distilled_epochs(
    final_report: dict[str, Any],
) -> None:
    # 10 crops of each recording took 4 s; every distilled epoch would have asked for one of each.
    # Of 24 trials 4 are alone, as are 8 of 24 finals; two were pruned after 2 epochs.
    distilled_epochs = 18 * 6 + 2 * 2 + 16 * 6
    saved = 4.0 * (distilled_epochs / 10 - 1)
    assert final_report["cost"]["saved_by_knowledge_s"] == pytest.approx(saved)


def test_failed_trainings_are_waste(make_study: Any) -> None:
    diverged = frozenset({("plain_kd", "V2", 0), ("plain_kd", "V2", 1)})
    report = plain_report(build_report(make_study(diverged=diverged)))
    assert report["cost"]["wasted_s"] == 2 * 2.0
    lead = next(lead for lead in report["leads"] if lead["lead"] == "V2")
    assert lead["contenders"]["plain_kd"]["test"] is None
    assert [gain["over"] for gain in lead["gains"]] == ["student_alone"]
    assert {gain["over"]: gain["n_leads"] for gain in report["mean_gains"]} == {
        "student_alone": 4,
        "plain_kd": 3,
    }


def test_money_is_told_by_what_it_was_for_and_what_has_no_price_apart(make_study: Any) -> None:
    # An hour of a node with four CPUs costs 14.4, so that a second of one CPU costs 0.001.
    small = NodeTypeConfig(price_per_hour=14.4, cpus=4)
    prices = CostConfig(currency="EUR", node_types={"small": small})
    diverged = frozenset({("plain_kd", "V2", 0)})
    folder = make_study(
        config=made_up_config(resources=ResourcesConfig(cost=prices)), diverged=diverged
    )
    somewhere = Reservation(node=Node(cpus=2), cpus=1, gpus=0, worker_s=25.0)
    folder.write_teacher_usage(Usage(kept=(somewhere,)))
    cost = plain_report(build_report(folder))["cost"]
    assert cost["money"] == {
        "currency": "EUR",
        "teacher": 0,
        "trials": pytest.approx(cost["trial_wall_s"] / 1000),
        "finals": pytest.approx(cost["final_wall_s"] / 1000),
        "total": pytest.approx((cost["trial_wall_s"] + cost["final_wall_s"]) / 1000),
        "per_trial": pytest.approx(cost["trial_wall_s"] / 1000 / 24, abs=1e-6),
        "wasted": pytest.approx(cost["wasted_s"] / 1000),
        "saved_by_pruning": pytest.approx(2 * 4 * 2.0 / 1000),
        "unpriced_worker_s": 25.0,
    }


def test_without_prices_no_money_is_told(final_report: dict[str, Any]) -> None:
    assert final_report["cost"]["money"] is None


def test_every_estimate_says_what_it_rests_on(final_report: dict[str, Any]) -> None:
    basis = final_report["cost"]["basis"]
    assert {"saved_by_pruning_s", "saved_by_knowledge_s", "wasted_s"} <= set(basis)
