"""Differences between studies are those of their students, whatever order their files have."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mvkt_ray.delivery.comparing.compared_studies import ComparedStudy
from mvkt_ray.delivery.comparing.study_differences import compare_studies
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.statistics.gains import holm
from mvkt_ray.statistics.scores import auroc_per_class

if TYPE_CHECKING:
    from conftest import MakeFinals


def study(label: str, finals: FinalsResults | None, **fields: Any) -> ComparedStudy:
    return ComparedStudy(
        **{
            "label": label,
            "where": f"/runs/{label}",
            "task": "made-up",
            "classes": ("CD", "HYP", "MI"),
            "n_trials": 12,
            "n_openings": 1,
            "searched": {"II": 0.8, "V5": None},
            "finals": finals,
            **fields,
        }
    )


def skilled(make_finals: "MakeFinals", more: float = 0.0, **options: Any) -> FinalsResults:
    """Two leads, and another contender that no comparison is about."""
    skill = {("chosen", "II"): 0.6 + more, ("chosen", "V5"): 0.9 + more, ("plain_kd", "II"): 0.2}
    return make_finals(skill, **options)


def test_differences_are_those_of_the_means_over_seeds(make_finals: "MakeFinals") -> None:
    finals = {"one": skilled(make_finals), "two": skilled(make_finals, 0.8)}
    found = compare_studies([study(label, each) for label, each in finals.items()])

    def macro(label: str, lead: str) -> float:
        test = finals[label].test
        areas = [auroc_per_class(test.labels_NC, said) for said in test.scores["chosen", lead]]
        return float(np.mean(areas))

    assert found.reference == "one"
    assert [(each.study, each.lead) for each in found.differences] == [
        ("two", "II"),
        ("two", "V5"),
    ]
    for each in found.differences:
        expected = macro("two", each.lead) - macro("one", each.lead)
        assert each.difference == pytest.approx(expected)
        assert each.claimed
        assert each.n_seeds == 3
    (mean,) = found.mean_differences
    by_lead = [each.difference for each in found.differences]
    assert mean.difference == pytest.approx(np.mean(by_lead))
    by_class = found.class_differences
    assert len(by_class) == 2 * 3
    assert [each.p_holm for each in by_class] == pytest.approx(holm([e.p for e in by_class]))
    assert found.studies[0].leads[0].macro_auroc == pytest.approx(macro("one", "II"))


def test_a_study_does_not_differ_from_itself(make_finals: "MakeFinals") -> None:
    finals = skilled(make_finals)
    found = compare_studies([study("one", finals), study("copy", finals)])
    for each in found.differences + found.mean_differences + found.class_differences:
        assert each.difference == 0
        assert each.p_holm == 1
        assert not each.claimed


def test_the_order_of_recordings_and_of_classes_is_each_studys_own(
    make_finals: "MakeFinals",
) -> None:
    one, two = skilled(make_finals), skilled(make_finals, 0.3)
    plain = compare_studies([study("one", one), study("two", two)])
    order = np.random.default_rng(0).permutation(len(two.test.record_ids_N))
    shuffled = replace(
        two.test,
        record_ids_N=two.test.record_ids_N[order],
        patient_ids_N=two.test.patient_ids_N[order],
        labels_NC=two.test.labels_NC[order],
        scores={key: said[:, order] for key, said in two.test.scores.items()},
        teacher_NC=two.test.teacher_NC[order],
    )
    again = compare_studies([study("one", one), study("two", replace(two, test=shuffled))])
    assert again.differences == plain.differences
    assert again.class_differences == plain.class_differences


def test_another_test_split_is_set_beside_and_not_compared(make_finals: "MakeFinals") -> None:
    one = skilled(make_finals)
    part = slice(0, 50)
    smaller = replace(
        one.test,
        record_ids_N=one.test.record_ids_N[part],
        patient_ids_N=one.test.patient_ids_N[part],
        labels_NC=one.test.labels_NC[part],
        scores={key: said[:, part] for key, said in one.test.scores.items()},
        teacher_NC=one.test.teacher_NC[part],
    )
    relabelled = replace(one.test, labels_NC=1 - one.test.labels_NC)
    found = compare_studies(
        [
            study("one", one),
            study("smaller", replace(one, test=smaller)),
            study("relabelled", replace(one, test=relabelled)),
            study("searched", None),
            study("same", skilled(make_finals, 0.2)),
        ]
    )
    because = {each.study: each.because for each in found.unpaired}
    assert "80 recordings and 50, of which 50 are the same" in because["smaller"]
    assert "same recordings with other labels" in because["relabelled"]
    assert "searched was not examined" in because["searched"]
    assert {each.study for each in found.differences} == {"same"}
    scores = {each.study: each.leads for each in found.studies}
    assert [(lead.lead, lead.split) for lead in scores["smaller"]] == [
        ("II", "test"),
        ("V5", "test"),
    ]
    assert [lead.macro_auroc for lead in scores["searched"]] == [0.8, None]


def test_only_leads_and_seeds_that_both_have_are_compared(make_finals: "MakeFinals") -> None:
    one = skilled(make_finals)
    skill = {("chosen", "V5"): 0.9, ("chosen", "I"): 0.9}
    two = make_finals(skill, seeds={("chosen", "V5"): (1, 2), ("chosen", "I"): (0, 1, 2)})
    found = compare_studies([study("one", one), study("two", two)])
    (only,) = found.differences
    assert (only.lead, only.n_seeds) == ("V5", 2)
    nothing = make_finals({("chosen", "I"): 0.9})
    assert compare_studies([study("one", one), study("other", nothing)]).differences == ()
    later = make_finals(
        {("chosen", "V5"): 0.9, ("chosen", "II"): 0.9}, seeds={("chosen", "V5"): (7,)}
    )
    found = compare_studies([study("one", one), study("later", later)])
    assert found.without_common_seed == (("later", "V5"),)
    assert [each.lead for each in found.differences] == ["II"]
