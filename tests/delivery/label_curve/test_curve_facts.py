"""The curves of a label budget: numbers of the finals, and what may be said of them."""

import csv
import io
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mvkt_ray.delivery.label_curve.curve_facts import describe_curve
from mvkt_ray.delivery.label_curve.curve_figure import draw_curve
from mvkt_ray.delivery.label_curve.curve_material import CurveMaterial
from mvkt_ray.delivery.label_curve.curve_words import (
    curve_caption,
    curve_sentences,
    equal_labels_text,
)
from mvkt_ray.delivery.label_curve.reported_curve import (
    CurvePoint,
    CurveScore,
    EqualLabels,
    LabelCurve,
)
from mvkt_ray.delivery.label_curve.write_curve import curve_rows, render_curve
from mvkt_ray.delivery.report.report_json import report_bytes
from mvkt_ray.statistics.budget_curve import equal_labels
from mvkt_ray.statistics.scores import auroc_per_class

sys.path.insert(0, str(Path(__file__).parent))

from made_up_curve import make_up_curve

if TYPE_CHECKING:
    from conftest import MakeFinals

Make = Callable[..., tuple[CurveMaterial, LabelCurve]]


@pytest.fixture(scope="module")
def make(make_finals: "MakeFinals") -> Make:
    def made(**options: Any) -> tuple[CurveMaterial, LabelCurve]:
        material = make_up_curve(make_finals, **options)
        curve = describe_curve(material)
        return material, replace(curve, sentences=tuple(curve_sentences(curve)))

    return made


@pytest.fixture(scope="module")
def whole(make: Make) -> tuple[CurveMaterial, LabelCurve]:
    return make()


def mean_score(cell: Any, key: tuple[str, str]) -> float:
    test = cell.finals.test
    return float(
        np.mean([auroc_per_class(test.labels_NC, each).mean() for each in test.scores[key]])
    )


def macro(score: CurveScore) -> float:
    assert score.macro_auroc is not None
    return score.macro_auroc


def equal_of(point: CurvePoint) -> EqualLabels:
    assert point.equal_labels is not None
    return point.equal_labels


def test_points_are_the_means_over_draws_of_the_finals(
    whole: tuple[CurveMaterial, LabelCurve],
) -> None:
    material, curve = whole
    assert (curve.alone, curve.answer) == ("student_alone", "chosen")
    assert [lead.lead for lead in curve.leads] == ["II", "V5"]
    for lead in curve.leads:
        assert [point.n_labelled for point in lead.points] == [100, 200, 400]
        assert [len(point.answer.by_draw) for point in lead.points] == [3, 3, 1]
        for point in lead.points:
            cells = [c for c in material.examined if c.cell.budget == point.budget]
            for score, contender in ((point.alone, "student_alone"), (point.answer, "chosen")):
                expected = [mean_score(cell, (contender, lead.lead)) for cell in cells]
                assert score.by_draw == pytest.approx(expected)
                assert macro(score) == pytest.approx(np.mean(expected))
                assert score.ci is not None
                assert 0 <= score.ci[0] < macro(score) < score.ci[1] <= 1
            difference = macro(point.answer) - macro(point.alone)
            assert point.gain.difference == pytest.approx(difference)
    report_bytes(curve)


def test_labels_that_distilling_replaces_are_read_off_the_curve_of_alone(
    whole: tuple[CurveMaterial, LabelCurve],
) -> None:
    for lead in whole[1].leads:
        alone = [macro(point.alone) for point in lead.points]
        for point in lead.points:
            expected = equal_labels([100, 200, 400], alone, macro(point.answer))
            equal = equal_of(point)
            if np.isinf(expected):
                assert equal.is_beyond
                assert equal.n_labels is None
            else:
                assert equal.n_labels == pytest.approx(float(expected))
                assert 100 <= float(expected) <= 400


def test_a_gain_that_is_shown_is_told_in_labels(
    whole: tuple[CurveMaterial, LabelCurve],
) -> None:
    first = whole[1].leads[0].points[0]
    assert first.gain.claimed
    (said, other) = whole[1].sentences
    assert said.startswith(
        "On II, the distilled student with 100 labels is better than the student"
    )
    assert f"about {equal_of(first).n_labels:,.0f} (95 % interval" in said
    assert other.startswith("On V5")


def test_where_nothing_is_gained_nothing_is_said_of_labels(make: Make) -> None:
    even = {1: (0.5, 0.5), 2: (0.6, 0.6), 4: (0.7, 0.7)}
    _, curve = make(skill=even, leads=("II",))
    assert "is not shown to be better" in curve.sentences[0]
    assert "as good as" not in curve.sentences[0]
    worse = {1: (1.2, 0.2), 2: (1.3, 0.3), 4: (1.4, 0.4)}
    _, curve = make(skill=worse, leads=("II",))
    assert "is worse than the student alone with as many" in curve.sentences[0]
    assert equal_labels_text(curve.leads[0].points[0].equal_labels) == "fewer than 100"


def test_beyond_all_labels_no_number_is_made_up(make: Make) -> None:
    ahead = {1: (0.1, 1.6), 2: (0.12, 1.7), 4: (0.14, 1.8)}
    _, curve = make(skill=ahead, leads=("II",))
    assert curve.sentences[0].endswith(
        "and than the student alone with all 400 labels that were measured."
    )
    assert equal_labels_text(curve.leads[0].points[0].equal_labels) == "more than 400"


def test_one_budget_is_no_curve_to_read_labels_off(make: Make) -> None:
    _, curve = make(skill={1: (0.2, 0.8)}, leads=("II",))
    assert curve.leads[0].points[0].equal_labels is None
    assert "cannot be said of one budget" in curve.sentences[0]


def test_what_is_not_examined_is_named_and_the_rest_is_drawn(make: Make) -> None:
    _, curve = make(missing=("folds1_draw2", "folds4_draw1"))
    assert "5 of 7 cells are examined; folds4_draw1 and folds1_draw2 are not" in " ".join(
        curve.sentences
    )
    points = curve.leads[0].points
    assert [point.budget for point in points] == [1, 2]
    assert [budget.n_draws for budget in curve.budgets] == [2, 3]
    assert [budget.n_draws_planned for budget in curve.budgets] == [3, 3]
    page = render_curve(curve)
    assert "<td>begun</td>" in page
    assert page.count("<td>examined</td>") == 5


def test_a_lead_that_one_draw_lacks_is_left_out_of_that_budget_alone(make: Make) -> None:
    material, _ = make()
    scores = material.examined[-1].finals.test.scores
    del scores["chosen", "V5"]  # type: ignore[attr-defined]
    curve = describe_curve(material)
    by_lead = {lead.lead: lead.points for lead in curve.leads}
    assert [point.budget for point in by_lead["II"]] == [1, 2, 4]
    assert [point.budget for point in by_lead["V5"]] == [2, 4]


def test_the_page_needs_nothing_but_itself_and_has_every_number(
    whole: tuple[CurveMaterial, LabelCurve],
) -> None:
    curve = whole[1]
    page = render_curve(curve)
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    text = re.sub(r"<svg.*?</svg>|<style.*?</style>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(nan|None|inf|undefined)\b|[{}]", re.sub(r"<[^>]*>", " ", text))
    for lead in curve.leads:
        for point in lead.points:
            assert f"{point.answer.macro_auroc:.3f}" in text
            assert equal_labels_text(point.equal_labels) in text
    for sentence in curve.sentences:
        assert sentence[:20] in text


def test_the_figure_has_a_panel_per_lead_and_a_tick_per_budget(
    whole: tuple[CurveMaterial, LabelCurve],
) -> None:
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", draw_curve(whole[1]))
    assert [text for text in texts if text in ("II", "V5")] == ["II", "V5"]
    assert {"100", "200", "400", "student alone", "distilled", "teacher"} <= set(texts)
    assert draw_curve(replace(whole[1], leads=())) == ""


def test_the_caption_says_what_distilled_students_saw(
    whole: tuple[CurveMaterial, LabelCurve],
) -> None:
    assert "also saw the other training recordings" in curve_caption(whole[1])
    apart = replace(whole[1], distils_unlabelled=False)
    assert "saw no other recordings" in curve_caption(apart)


def test_rows_of_the_table_are_those_of_the_report(
    whole: tuple[CurveMaterial, LabelCurve],
) -> None:
    rows = list(curve_rows(whole[1]))
    assert [(row["lead"], row["n_labelled"]) for row in rows] == [
        (lead, n) for lead in ("II", "V5") for n in (100, 200, 400)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writerows(rows)
    assert all(row.keys() == rows[0].keys() for row in rows)
