"""The gap to the teacher: its parts are those of the scores, and there are none without a gap."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mvkt_ray.delivery.facts.evidence import Evidence
from mvkt_ray.delivery.facts.gaps.teacher_gap import (
    NO_GAP,
    NO_SCORE,
    baseline_of,
    describe_teacher_gap,
    gap_closed,
)
from mvkt_ray.delivery.facts.split_scores import describe_test
from mvkt_ray.search.finals.finals_results import FinalsResults

if TYPE_CHECKING:
    from conftest import MakeFinals

SKILL = {
    ("chosen", "I"): 0.6,
    ("student_alone", "I"): 0.3,
    ("mkd_only", "I"): 0.5,
    ("chosen", "II"): 0.9,
    ("student_alone", "II"): 0.7,
}


def described(finals: FinalsResults, leads: tuple[str, ...] = ("II", "I")) -> Any:
    found = describe_teacher_gap(Evidence.of(finals), leads)
    assert found is not None
    return found


def rows_of(finals: FinalsResults, lead: str = "I") -> list[Any]:
    return next(list(each.rows) for each in described(finals).leads if each.lead == lead)


def test_every_lead_has_a_row_for_the_mean_and_for_each_class(make_finals: "MakeFinals") -> None:
    finals = make_finals(SKILL)
    gap = described(finals)
    assert gap.baseline == "student_alone"
    assert [lead.lead for lead in gap.leads] == ["II", "I"]
    for lead in gap.leads:
        assert lead.n_students == 3
        assert [row.class_ for row in lead.rows] == [None, *finals.classes]


def test_the_parts_sum_to_the_gap_and_the_scores_are_those_of_the_report(
    make_finals: "MakeFinals",
) -> None:
    finals = make_finals(SKILL)
    evidence = Evidence.of(finals)
    for lead in ("I", "II"):
        macro, *classes = rows_of(finals, lead)
        for name, key in (("alone", ("student_alone", lead)), ("answer", ("chosen", lead))):
            test = describe_test(evidence, key, "any")
            assert getattr(macro, name) == pytest.approx(test.macro_auroc)
            assert [getattr(row, name) for row in classes] == pytest.approx(
                [test.per_class[row.class_].auroc for row in classes]
            )
        for row in (macro, *classes):
            parts = [getattr(row, name).difference for name in ("closed", "attainable", "left")]
            assert sum(parts) == pytest.approx(row.gap.difference)
            assert row.gap.difference == pytest.approx(row.teacher - row.alone)


def test_the_share_of_the_mean_is_the_one_that_stands_at_the_lead(
    make_finals: "MakeFinals",
) -> None:
    finals = make_finals(SKILL)
    evidence = Evidence.of(finals)
    for lead in ("I", "II"):
        macro, closed = rows_of(finals, lead)[0], gap_closed(evidence, [lead])
        assert closed is not None
        assert closed.fraction is not None
        assert (macro.closed.fraction, macro.gap.ci) == (
            closed.fraction,
            closed.gap_ci,
        )
        assert closed.ci is not None
        assert macro.closed.fraction_ci[0] < closed.fraction < closed.ci[1]


def test_the_ensemble_is_the_mean_of_the_probabilities_of_the_seeds(
    make_finals: "MakeFinals",
) -> None:
    finals = make_finals(SKILL)
    macro, *classes = rows_of(finals)
    mean_NC = finals.test.scores["chosen", "I"].mean(axis=0)
    labels_NC = finals.test.labels_NC
    expected = [roc_auc_score(labels_NC[:, c], mean_NC[:, c]) for c in range(len(classes))]
    assert [row.ensemble for row in classes] == pytest.approx(expected)
    assert macro.ensemble == pytest.approx(np.mean(expected))
    # These students err apart, so that they are better together.
    assert macro.attainable.difference > 0


def test_an_ensemble_has_the_seeds_that_alone_was_trained_with_too(
    make_finals: "MakeFinals",
) -> None:
    finals = make_finals(SKILL, seeds={("student_alone", "I"): (0, 2)})
    lead = next(each for each in described(finals).leads if each.lead == "I")
    assert lead.n_students == 2
    mean_NC = finals.test.scores["chosen", "I"][[0, 2]].mean(axis=0)
    expected = roc_auc_score(finals.test.labels_NC, mean_NC)
    assert lead.rows[0].ensemble == pytest.approx(expected)


def test_with_one_seed_there_is_no_ensemble_and_what_is_left_is_all_the_rest(
    make_finals: "MakeFinals",
) -> None:
    finals = make_finals(SKILL, seeds=dict.fromkeys(SKILL, (0,)))
    for row in rows_of(finals):
        assert row.ensemble is row.attainable is None
        assert row.left.difference == pytest.approx(row.teacher - row.answer)


def test_where_alone_is_not_behind_there_are_scores_and_no_shares(
    make_finals: "MakeFinals",
) -> None:
    for teacher in (0.3, 0.1):
        for row in rows_of(make_finals(SKILL, teacher=teacher), "II"):
            assert row.reason == NO_GAP
            parts = [getattr(row, name) for name in ("closed", "attainable", "left")]
            assert {part.fraction for part in parts} == {None}
            assert row.teacher is not None


def test_a_class_without_positives_has_no_score_and_does_not_hide_the_others(
    make_finals: "MakeFinals",
) -> None:
    macro, first, *others = rows_of(make_finals(SKILL, rarest=0))
    assert (first.reason, first.gap, first.n_positive) == (NO_SCORE, None, 0)
    assert first.too_few
    assert all(row.gap is not None for row in (macro, *others))
    few = rows_of(make_finals(SKILL, rarest=1))[1]
    assert few.too_few
    assert few.alone is not None


def test_without_a_student_that_learned_from_labels_alone_there_is_no_gap(
    make_finals: "MakeFinals",
) -> None:
    finals = make_finals({("chosen", "I"): 1.0, ("mkd_only", "I"): 0.8})
    assert describe_teacher_gap(Evidence.of(finals), ["I"]) is None


@pytest.mark.parametrize(
    ("weights", "baseline"),
    [
        ({"kd_weight": 0, "clt_weight": 0.0, "label_weight": 1.0}, "mine"),
        ({"kd_weight": 0.5, "clt_weight": 0.0, "label_weight": 1.0}, None),
        ({"kd_weight": 0.0, "clt_weight": 0.1}, None),
    ],
)
def test_a_contender_that_is_not_taught_is_a_baseline_by_whatever_name(
    make_finals: "MakeFinals", weights: dict[str, float], baseline: str | None
) -> None:
    finals = make_finals({("chosen", "I"): 1.0, ("mine", "I"): 0.8})
    plan = tuple(
        replace(each, hyperparameters=weights) if each.name == "mine" else each
        for each in finals.plan
    )
    assert baseline_of(replace(finals, plan=plan)) == baseline


def test_an_answer_that_was_not_taught_closes_nothing(make_finals: "MakeFinals") -> None:
    assert baseline_of(replace(make_finals(SKILL), answer="student_alone")) is None
