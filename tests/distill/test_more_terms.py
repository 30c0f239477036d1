"""What all further terms have in common: rows without a label count, by the teacher's opinion."""

import pytest
import torch
from torch import Tensor

from mvkt_ray.config.recipes import MORE_TEACHING_WEIGHTS, Hyperparameters
from mvkt_ray.distill.both_say import BothSay
from mvkt_ray.distill.more_terms import MORE_TERMS, MoreTerms, positives

B, C, S, D = 9, 3, 5, 7


def _terms(**weights: float) -> MoreTerms:
    return MoreTerms(
        hyperparameters=Hyperparameters(**weights),  # type: ignore[arg-type]
        student_dim=S,
        teacher_dim=D,
        teacher_classifier_CD=torch.randn(C, D, generator=torch.Generator().manual_seed(1)),
        seed=0,
    )


def _said(labels_BC: Tensor | None = None) -> BothSay:
    generator = torch.Generator().manual_seed(2)
    drawn_BC = (torch.rand(B, C, generator=generator) < 0.5).float()
    return BothSay(
        student_logits_BC=torch.randn(B, C, generator=generator),
        student_embedding_BS=torch.randn(B, S, generator=generator).requires_grad_(),
        student_classifier_CS=torch.randn(C, S, generator=generator),
        teacher_logits_BC=torch.randn(B, C, generator=generator),
        teacher_embedding_BD=torch.randn(B, D, generator=generator),
        labels_BC=drawn_BC if labels_BC is None else labels_BC,
    )


def test_the_terms_are_those_whose_weights_are_above_zero() -> None:
    assert _terms()(_said()) == {}
    for name in MORE_TERMS:
        assert list(_terms(**{f"{name}_weight": 0.1})(_said())) == [name]
    every = _terms(**dict.fromkeys(MORE_TEACHING_WEIGHTS, 1.0))
    assert list(every(_said())) == list(MORE_TERMS)


def test_who_has_what_is_the_label_or_else_what_the_teacher_thinks() -> None:
    labels_BC = torch.tensor([[1.0, 0.0], [torch.nan, torch.nan], [0.7, 0.4]])
    teacher_BC = torch.tensor([[-3.0, 3.0], [-0.1, 0.1], [-3.0, 3.0]])
    expected = [[True, False], [False, True], [True, False]]
    assert positives(labels_BC, teacher_BC).tolist() == expected


@pytest.mark.parametrize("name", MORE_TERMS)
def test_a_row_without_a_label_has_a_part_in_every_term(name: str) -> None:
    terms = _terms(**{f"{name}_weight": 1.0})
    labels_BC = _said().labels_BC.clone()
    labels_BC[::2] = torch.nan
    value = terms(_said(labels_BC))[name]
    assert value.isfinite()
    said = _said()
    opinion_BC = torch.where(labels_BC.isnan(), (said.teacher_logits_BC > 0).float(), labels_BC)
    torch.testing.assert_close(value, terms(_said(opinion_BC))[name])
    none_known = terms(_said(torch.full((B, C), torch.nan)))[name]
    assert none_known > 0


def test_the_seed_alone_decides_what_is_learned() -> None:
    torch.manual_seed(1)
    first = _terms(feature_weight=1.0)
    torch.manual_seed(2)
    second = _terms(feature_weight=1.0)
    assert torch.equal(first.feature.weight, second.feature.weight)
