"""Comparisons on the test split: paired, corrected as one family, over the seeds that both have."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mvkt_ray.delivery.facts.comparisons import (
    gains_of_answer,
    lead_against_lead,
    mean_gains,
)
from mvkt_ray.delivery.facts.evidence import Evidence
from mvkt_ray.delivery.facts.gaps.teacher_gap import gap_closed
from mvkt_ray.delivery.facts.leads import Ranking
from mvkt_ray.delivery.facts.split_scores import describe_test, describe_validation
from mvkt_ray.statistics.gains import holm

if TYPE_CHECKING:
    from conftest import MakeFinals

SKILL = {
    ("chosen", "I"): 0.6,
    ("student_alone", "I"): 0.3,
    ("mkd_only", "I"): 0.5,
    ("chosen", "II"): 1.2,
    ("student_alone", "II"): 1.2,
}


def test_gains_of_all_leads_and_contenders_are_one_family(make_finals: "MakeFinals") -> None:
    # One contender has fewer seeds, so its gain is computed apart from the others.
    finals = make_finals(SKILL, seeds={("mkd_only", "I"): (0, 2)})
    gains = gains_of_answer(Evidence.of(finals))
    assert set(gains) == {key for key in SKILL if key[0] != "chosen"}
    assert {key: gain.n_seeds for key, gain in gains.items()} == {
        ("student_alone", "I"): 3,
        ("mkd_only", "I"): 2,
        ("student_alone", "II"): 3,
    }
    found = gains.values()
    assert [each.p_holm for each in found] == pytest.approx(holm([each.p for each in found]))


def test_a_gain_over_fewer_seeds_is_the_mean_over_the_pairs_of_seeds(
    make_finals: "MakeFinals",
) -> None:
    finals = make_finals(SKILL, seeds={("mkd_only", "I"): (0, 2)})
    evidence = Evidence.of(finals)
    gain = gains_of_answer(evidence)["mkd_only", "I"]
    areas = evidence.over((0, 1, 2)).areas
    position = evidence.over((0, 1, 2)).position(("chosen", "I"))
    answer = areas.macro_KR[position][[0, 2]].mean()
    own = describe_test(evidence, ("mkd_only", "I"), "any").macro_auroc
    assert gain.difference == pytest.approx(answer - own)


def test_a_contender_without_a_common_seed_is_scored_and_not_compared(
    make_finals: "MakeFinals",
) -> None:
    evidence = Evidence.of(make_finals(SKILL, seeds={("mkd_only", "I"): (7,)}))
    assert ("mkd_only", "I") not in gains_of_answer(evidence)
    assert "mkd_only" not in [gain.over for gain in mean_gains(evidence)]
    assert describe_test(evidence, ("mkd_only", "I"), "any").n_seeds == 1


def test_leads_are_compared_over_the_seeds_that_all_answers_have(
    make_finals: "MakeFinals",
) -> None:
    evidence = Evidence.of(make_finals(SKILL, seeds={("chosen", "I"): (1, 2)}))
    assert evidence.ranking_seeds == (1, 2)
    assert describe_test(evidence, ("chosen", "II"), "any").n_seeds == 2


def test_a_lead_whose_answer_has_no_seed_is_not_ranked(make_finals: "MakeFinals") -> None:
    evidence = Evidence.of(make_finals(SKILL, seeds={("chosen", "I"): ()}))
    ranking = Ranking.of(evidence)
    assert ranking is not None
    assert ranking.leads == ("II",)
    assert ranking.best_set == ("II",)
    assert set(gains_of_answer(evidence)) == {("student_alone", "II")}
    assert lead_against_lead(evidence, ranking.leads) == ()


def test_the_better_lead_comes_first_in_every_pair(make_finals: "MakeFinals") -> None:
    skill = {("chosen", lead): skill for lead, skill in (("I", 0.3), ("II", 1.2), ("V1", 0.7))}
    evidence = Evidence.of(make_finals(skill))
    ranking = Ranking.of(evidence)
    assert ranking is not None
    assert ranking.leads == ("II", "V1", "I")
    pairs = lead_against_lead(evidence, ranking.leads)
    assert [(pair.lead, pair.over) for pair in pairs] == [("II", "V1"), ("II", "I"), ("V1", "I")]
    assert all(pair.difference > 0 for pair in pairs)


def test_the_mean_gain_is_the_mean_of_the_gains(make_finals: "MakeFinals") -> None:
    evidence = Evidence.of(make_finals(SKILL))
    gains, means = gains_of_answer(evidence), mean_gains(evidence)
    mean = next(each for each in means if each.over == "student_alone")
    over_alone = [gains["student_alone", lead].difference for lead in ("I", "II")]
    assert mean.difference == pytest.approx(np.mean(over_alone))
    assert (mean.n_leads, mean.n_positive_leads) == (2, sum(each > 0 for each in over_alone))


def test_the_gap_closed_is_the_gain_over_the_gap(make_finals: "MakeFinals") -> None:
    finals = make_finals(SKILL)
    evidence = Evidence.of(finals)
    closed = gap_closed(evidence, ["I"])
    assert closed is not None
    alone = describe_test(evidence, ("student_alone", "I"), "any").macro_auroc
    chosen = describe_test(evidence, ("chosen", "I"), "any").macro_auroc
    teacher = describe_test(evidence, ("teacher", ""), "any").macro_auroc
    assert closed.gap == pytest.approx(teacher - alone)
    assert closed.fraction == pytest.approx((chosen - alone) / (teacher - alone))
    assert closed.fraction is not None
    assert closed.ci is not None
    assert closed.ci[0] < closed.fraction < closed.ci[1]


def test_there_is_no_share_of_a_gap_that_is_not_shown(make_finals: "MakeFinals") -> None:
    closed = gap_closed(Evidence.of(make_finals(SKILL, teacher=0.3)), ["I"])
    assert closed is not None
    assert closed.fraction is closed.ci is None
    assert closed.gap_ci is not None
    assert closed.gap_ci[0] < 0
    assert "not shown to be better" in str(closed.reason)


def test_without_a_student_alone_there_is_no_gap(make_finals: "MakeFinals") -> None:
    finals = make_finals({("chosen", "I"): 1.0, ("mkd_only", "I"): 0.8})
    assert gap_closed(Evidence.of(finals), ["I"]) is None


def test_a_class_without_positives_is_left_out_and_named(make_finals: "MakeFinals") -> None:
    test = describe_test(Evidence.of(make_finals(SKILL, rarest=0)), ("chosen", "I"), "any")
    assert test.left_out == ("CD",)
    missing = test.per_class["CD"]
    assert missing.auroc is missing.ci is missing.average_precision is missing.f1 is None
    assert (missing.n_positive, missing.too_few) == (0, True)
    defined = [test.per_class[name].auroc or math.nan for name in ("HYP", "MI")]
    assert test.macro_auroc == pytest.approx(np.mean(defined))


def test_the_teacher_has_no_spread_over_seeds(make_finals: "MakeFinals") -> None:
    test = describe_test(Evidence.of(make_finals(SKILL)), ("teacher", ""), "any")
    assert (test.n_seeds, test.seed_sd, len(test.per_seed)) == (1, None, 1)
    assert test.ci is not None
    assert test.ci[0] < test.macro_auroc < test.ci[1]


def test_students_trained_on_validation_too_have_no_thresholds_and_no_validation_score(
    make_finals: "MakeFinals",
) -> None:
    evidence = Evidence.of(replace(make_finals(SKILL), refit=True))
    test = describe_test(evidence, ("chosen", "I"), "icbeb9")
    assert test.macro_f1 is test.task_scores is None
    assert "validation split too" in str(test.f1_reason)
    assert all(scores.f1 is None for scores in test.per_class.values())
    assert describe_validation(evidence, ("chosen", "I")) is None
    # The teacher was not.
    assert describe_test(evidence, ("teacher", ""), "icbeb9").macro_f1 is not None
