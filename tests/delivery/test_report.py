"""The report of a study before and after its finals: its schema, its invariants, what it claims."""

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest
from made_up_study import made_up_config
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from mvkt_ray.config.search_config import ContenderConfig, FinalsConfig, SearchConfig
from mvkt_ray.delivery.facts.material import gather_material
from mvkt_ray.delivery.report.report_json import plain_report, report_schema
from mvkt_ray.delivery.write_report import build_report, describe, write_report
from mvkt_ray.errors import ArtifactError, StaleArtifactError
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from mvkt_ray.training.trial_files import TrialFolder

if TYPE_CHECKING:
    from conftest import MakeStudy

Copy = Callable[[StudyFolder], StudyFolder]


def without_time(report: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in report.items() if key != "made_at"}


def differences(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every difference that a report might claim."""
    for lead in report["leads"]:
        yield from lead["gains"]
    yield from report["lead_pairs"]
    yield from report["mean_gains"]


@pytest.fixture(scope="module")
def reopened(make_study: "MakeStudy") -> dict[str, Any]:
    """Finals of two seeds that were made twice, and of which one training diverged."""
    diverged = frozenset({("plain_kd", "I", 1)})
    return plain_report(
        build_report(make_study(diverged=diverged, reason_again="a bug in the labels"))
    )


@pytest.fixture(scope="module")
def begun(make_study: "MakeStudy") -> dict[str, Any]:
    """A study of which four baselines have ended, and nothing else."""
    return plain_report(build_report(make_study(has_finals=False, n_trials_run=4)))


def test_every_report_is_as_its_schema_says(
    final_report: dict[str, Any],
    searched_report: dict[str, Any],
    reopened: dict[str, Any],
    begun: dict[str, Any],
) -> None:
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for report in (final_report, searched_report, reopened, begun):
        jsonschema.validate(report, schema)


def test_every_key_of_the_schema_says_what_it_is() -> None:
    schema = report_schema()
    # Types of the search's own, which the report takes over.
    of_search = {"Look", "Stop", "SizeLimitsConfig"}
    for name, part in {"report": schema, **schema["$defs"]}.items():
        if name in of_search:
            continue
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
        for key, value in part["properties"].items():
            # One that is a part of its own has the description of that.
            assert "description" in value or "$ref" in value, (name, key)


def test_the_same_folder_gives_the_same_report(
    final_study: StudyFolder, final_report: dict[str, Any]
) -> None:
    assert without_time(plain_report(build_report(final_study))) == without_time(final_report)


def test_leads_are_ranked_by_what_their_answers_scored_on_the_test_split(
    final_study: StudyFolder, final_report: dict[str, Any]
) -> None:
    finals = gather_material(final_study).finals
    assert finals is not None
    labels = finals.test.labels_NC
    expected = {
        lead: np.mean([roc_auc_score(labels, scores) for scores in scores_RNC])
        for (name, lead), scores_RNC in finals.test.scores.items()
        if name == "chosen"
    }
    found = {lead["lead"]: lead["test"]["macro_auroc"] for lead in final_report["leads"]}
    assert found == pytest.approx(expected)
    assert list(found) == sorted(expected, key=lambda lead: -expected[lead])
    assert [lead["rank"] for lead in final_report["leads"]] == [1, 2, 3, 4]
    assert final_report["answer"]["ranked_on"] == "test"


def test_scores_by_class_are_those_of_scikit_learn_with_thresholds_from_validation(
    final_study: StudyFolder, final_report: dict[str, Any]
) -> None:
    finals = gather_material(final_study).finals
    assert finals is not None
    key, c = ("student_alone", "II"), 2
    truth, scores_RN = finals.test.labels_NC[:, c], finals.test.scores[key][:, :, c]
    known, said_RN = finals.validation.labels_NC[:, c], finals.validation.scores[key][:, :, c]
    lead = next(lead for lead in final_report["leads"] if lead["lead"] == "II")
    found = lead["contenders"]["student_alone"]["test"]["per_class"][finals.classes[c]]
    assert found["n_positive"] == int(truth.sum())
    assert found["auroc"] == pytest.approx(np.mean([roc_auc_score(truth, s) for s in scores_RN]))
    assert found["average_precision"] == pytest.approx(
        np.mean([average_precision_score(truth, s) for s in scores_RN])
    )
    f1 = []
    for scores_N, said_N in zip(scores_RN, said_RN, strict=True):
        cuts = np.unique(said_N)
        best = max(cuts, key=lambda cut: f1_score(known, said_N >= cut))
        below = cuts[cuts < best].max(initial=0.0)
        f1.append(f1_score(truth, scores_N >= (below + best) / 2))
    assert found["f1"] == pytest.approx(np.mean(f1), abs=0.02)


def test_nothing_is_claimed_whose_corrected_interval_covers_zero(
    final_report: dict[str, Any], reopened: dict[str, Any]
) -> None:
    for report in (final_report, reopened):
        found = list(differences(report))
        assert len(found) > 12
        assert any(each["claimed"] for each in found)
        for each in found:
            low, high = each["ci_corrected"]
            assert each["claimed"] == (low > 0 or high < 0) == (each["p_holm"] <= 0.05)
            assert low <= each["ci"][0] <= each["difference"] <= each["ci"][1] <= high
            assert each["p"] <= each["p_holm"]


def test_the_best_set_is_a_head_of_the_ranking_and_the_same_everywhere(
    final_report: dict[str, Any],
) -> None:
    answer, leads = final_report["answer"], final_report["leads"]
    members = [lead["lead"] for lead in leads if lead["in_best_set"]]
    assert members == answer["best_set"] == final_report["best_set"] == ["V5", "II"]
    assert answer["lead"] is None
    assert answer["highest"] == leads[0]["lead"]
    for lead in leads:
        to_best = lead["difference_to_best"]
        assert to_best["low"] <= min(0, to_best["difference"])
        assert (to_best["high"] > 0) == lead["in_best_set"]


def test_before_finals_nothing_of_the_test_split_is_there_and_nothing_is_claimed(
    searched_report: dict[str, Any],
) -> None:
    assert searched_report["finals"] is None
    assert searched_report["test_split"]["opened"] == 0
    assert searched_report["best_set"] == searched_report["lead_pairs"] == []
    assert searched_report["teacher"]["test"] is None
    for lead in searched_report["leads"]:
        assert lead["test"] is lead["gain"] is lead["in_best_set"] is None
        for contender in lead["contenders"].values():
            assert contender["test"] is None
    closed = searched_report["data"]["splits"]["test"]
    assert closed["n_recordings"] > 0
    assert closed["n_positive"] is closed["age_years"] is closed["sex"] is None
    assert "nothing is claimed" in searched_report["answer"]["sentence"]


def test_before_finals_leads_are_ranked_by_their_best_trial_on_validation(
    searched_report: dict[str, Any], searched_study: StudyFolder
) -> None:
    scores = [lead["validation"]["macro_auroc"] for lead in searched_report["leads"]]
    assert scores == sorted(scores, reverse=True)
    best = searched_report["leads"][0]
    folder = TrialFolder.of(searched_study.trials, best["trial"])
    value = json.loads(folder.result.read_bytes())
    assert value["result"]["macro_auroc"] == best["validation"]["macro_auroc"]
    assert value["trial"]["hyperparameters"] == best["hyperparameters"]
    assert best["contenders"]["student_alone"]["hyperparameters"]["kd_weight"] == 0


def test_a_study_that_has_just_begun_has_nothing_to_rank(begun: dict[str, Any]) -> None:
    assert begun["study_summary"]["state"] == "running"
    assert "nothing to rank yet" in begun["answer"]["sentence"]
    assert begun["answer"]["highest"] is begun["selection"] is None
    for lead in begun["leads"]:
        assert lead["trial"] is lead["validation"] is None
        assert set(lead["contenders"]) == {"student_alone"}


def test_the_corrected_estimate_is_below_the_naive_one(searched_report: dict[str, Any]) -> None:
    selection = searched_report["selection"]
    best = searched_report["leads"][0]
    assert selection["naive"] == pytest.approx(best["validation"]["macro_auroc"])
    assert (selection["lead"], selection["trial"]) == (best["lead"], best["trial"])
    assert selection["corrected"] < selection["naive"]
    low, high = selection["ci"]
    assert low < selection["corrected"] < high
    # Sixteen were searched, of which those with number 15 and 23 were pruned.
    assert selection["n_candidates"] == 14


def test_a_contender_that_lost_a_seed_is_compared_over_the_other(reopened: dict[str, Any]) -> None:
    lead = next(lead for lead in reopened["leads"] if lead["lead"] == "I")
    over = {gain["over"]: gain for gain in lead["gains"]}
    assert (over["plain_kd"]["n_seeds"], over["student_alone"]["n_seeds"]) == (1, 2)
    assert lead["contenders"]["plain_kd"]["seeds"] == [0]
    assert lead["seeds"] == [0, 1]
    means = {gain["over"]: gain for gain in reopened["mean_gains"]}
    assert (means["plain_kd"]["n_seeds"], means["plain_kd"]["n_leads"]) == (1, 4)
    assert reopened["finals"]["n_trainings"] - reopened["finals"]["n_complete"] == 1
    assert any("1 of 24 trainings of the finals diverged" in limit for limit in reopened["limits"])


def test_a_second_opening_is_told_with_its_reason(reopened: dict[str, Any]) -> None:
    openings = reopened["test_split"]["openings"]
    assert [each["reason"] for each in openings] == ["", "a bug in the labels"]
    assert reopened["test_split"]["opened"] == 2
    assert reopened["finals"]["number"] == 2
    assert "looked at 2 times" in reopened["answer"]["sentence"]
    # Both rounds of finals were paid for: 23 trainings of six epochs of 2 s, and one of one epoch.
    assert reopened["cost"]["final_wall_s"] == 2 * (23 * 12.0 + 2.0)
    assert any("a bug in the labels" in limit for limit in reopened["limits"])


def test_a_class_with_few_positives_is_marked_and_named(final_report: dict[str, Any]) -> None:
    few = {
        name
        for name, scores in final_report["leads"][0]["test"]["per_class"].items()
        if scores["too_few"]
    }
    counts = final_report["data"]["splits"]["test"]["n_positive"]
    assert few == {name for name, n in counts.items() if n < 10} == {"AF"}
    assert any("AF (8)" in limit for limit in final_report["limits"])


def test_what_is_written_is_what_is_returned_and_strict_json(
    final_study: StudyFolder, copy_of: Copy
) -> None:
    folder = copy_of(final_study)
    report = plain_report(write_report(folder))

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = folder.report.read_bytes().decode()
    assert json.loads(text, parse_constant=refuse) == report
    assert {"index.html", "leads.csv", "columns.csv"} <= set(folder.report_folder.names())
    assert folder.report == folder.root / "report" / "report.json"


def test_a_folder_without_a_study_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no study"):
        plain_report(build_report(StudyFolder(Location.parse(tmp_path))))


def test_damaged_predictions_of_the_search_are_named(
    searched_study: StudyFolder, copy_of: Copy
) -> None:
    folder = copy_of(searched_study)
    path = TrialFolder.of(folder.trials, 8).validation
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ArtifactError, match=r"00008/validation\.arrow of trial 8 cannot be read"):
        plain_report(build_report(folder))


def test_without_the_predictions_of_a_trial_the_others_are_chosen_among(
    searched_study: StudyFolder, copy_of: Copy
) -> None:
    folder = copy_of(searched_study)
    TrialFolder.of(folder.trials, 8).validation.local_path.unlink()
    assert plain_report(build_report(folder))["selection"]["n_candidates"] == 13


def test_predictions_that_were_changed_after_the_examination_are_refused(
    final_study: StudyFolder, copy_of: Copy
) -> None:
    folder = copy_of(final_study)
    files = folder.final(1)
    files.test(0).write_bytes(files.test(1).read_bytes())
    with pytest.raises(StaleArtifactError, match="changed after the examination"):
        plain_report(build_report(folder))


def test_without_its_shards_a_study_still_has_a_report(
    final_study: StudyFolder, final_report: dict[str, Any], copy_of: Copy
) -> None:
    folder = copy_of(final_study)
    inputs = folder.read_inputs()
    folder.write_inputs({**inputs, "shards": Location("/moved/away")})
    report = plain_report(build_report(folder))
    jsonschema.validate(report, report_schema())
    assert report["data"] is None
    assert "/moved/away" in report["data_reason"]
    assert report["leads"] == final_report["leads"]


def test_a_test_split_by_which_nothing_can_be_scored_ranks_no_lead(
    final_study: StudyFolder,
) -> None:
    material = gather_material(final_study)
    assert material.finals is not None
    test = material.finals.test
    same = np.zeros_like(test.labels_NC)
    same[:, 0] = 1
    finals = replace(material.finals, test=replace(test, labels_NC=same))
    report = plain_report(describe(replace(material, finals=finals)))
    jsonschema.validate(report, report_schema())
    assert "No class can be scored on the 120 test recordings" in report["answer"]["sentence"]
    assert report["best_set"] == report["lead_pairs"] == report["mean_gains"] == []
    assert {lead["in_best_set"] for lead in report["leads"]} == {None}
    assert not any("too few of the trainings" in limit for limit in report["limits"])


def test_every_number_is_finite(final_report: dict[str, Any]) -> None:
    def numbers(value: Any) -> Iterator[float]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for item in value:
                yield from numbers(item)
        elif isinstance(value, float):
            yield value

    assert all(math.isfinite(each) for each in numbers(final_report))


def test_finals_without_a_search_are_reported_by_the_contender_that_answers(
    make_study: "MakeStudy",
) -> None:
    config = made_up_config(
        search=SearchConfig(leads=("I", "II"), n_trials=0, baselines=()),
        finals=FinalsConfig(
            n_seeds=2,
            n_configurations=0,
            baselines=("student_alone",),
            contenders={"plain_kd": ContenderConfig(base="defaults", n_seeds=1)},
            answer="student_alone",
        ),
    )
    report = plain_report(build_report(make_study(config=config)))
    jsonschema.validate(report, report_schema())
    assert report["answer"]["contender"] == "student_alone"
    assert report["answer"]["best_set"] == ["II"]
    assert report["selection"] is report["mean_gap_closed"] is None
    for lead in report["leads"]:
        assert lead["trial"] is lead["validation"] is lead["gap_closed"] is None
        assert lead["seeds"] == [0, 1]
        (gain,) = lead["gains"]
        assert (gain["over"], gain["n_seeds"]) == ("plain_kd", 1)
