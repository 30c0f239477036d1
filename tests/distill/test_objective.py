"""The weighted sum: its parts, what it needs, what it remembers."""

import io
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mvkt_ray.config.recipes import MORE_TEACHING_WEIGHTS, Hyperparameters
from mvkt_ray.distill.losses.multilabel_kd import multilabel_kd
from mvkt_ray.distill.more_terms import MORE_TERMS
from mvkt_ray.distill.negatives import NEGATIVE_RULES
from mvkt_ray.distill.objective import (
    CLT_LOSSES,
    KD_LOSSES,
    Objective,
    ObjectiveTerms,
)
from mvkt_ray.errors import ConfigError

N, C, B, STUDENT_DIM, TEACHER_DIM = 50, 3, 8, 6, 10
TEACHER_CLASSIFIER_CD = torch.randn(C, TEACHER_DIM, generator=torch.Generator().manual_seed(1))
LABELS_NC = (torch.rand(N, C, generator=torch.Generator().manual_seed(0)) < 0.4).float()


def _objective(seed: int = 0, n_finer: int = 0, **hyperparameters: Any) -> Objective:
    settings: dict[str, Any] = {"n_negatives": 16, "projection_dim": 4} | hyperparameters
    return Objective(
        hyperparameters=Hyperparameters(**settings),
        train_labels_NC=LABELS_NC,
        student_dim=STUDENT_DIM,
        teacher_dim=TEACHER_DIM,
        seed=seed,
        teacher_classifier_CD=TEACHER_CLASSIFIER_CD,
        n_finer=n_finer,
    )


def _batch(number: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(number)
    example_B = torch.randperm(N, generator=generator)[:B]
    return {
        "student_logits_BC": torch.randn(B, C, generator=generator),
        "student_embedding_BD": torch.randn(B, STUDENT_DIM, generator=generator),
        "labels_BC": LABELS_NC[example_B],
        "example_B": example_B,
        "teacher_logits_BC": torch.randn(B, C, generator=generator),
        "teacher_embedding_BD": torch.randn(B, TEACHER_DIM, generator=generator),
        "student_classifier_CS": torch.randn(C, STUDENT_DIM, generator=generator),
    }


def test_the_tables_hold_exactly_what_a_study_may_ask_for():
    hints = get_type_hints(Hyperparameters)
    assert set(KD_LOSSES) == set(get_args(hints["kd_loss"]))
    assert set(CLT_LOSSES) == set(get_args(hints["clt_loss"]))
    assert set(NEGATIVE_RULES) == set(get_args(hints["negatives"]))
    assert [f"{name}_weight" for name in MORE_TERMS] == list(MORE_TEACHING_WEIGHTS)


@pytest.mark.parametrize("clt_loss", CLT_LOSSES)
def test_the_total_is_the_weighted_sum_of_the_unweighted_terms(clt_loss: str):
    objective = _objective(clt_loss=clt_loss, label_weight=0.7, kd_weight=3.0, clt_weight=0.2)
    batch = _batch(0)
    terms = objective(**batch)
    expected_label = functional.binary_cross_entropy_with_logits(
        batch["student_logits_BC"], batch["labels_BC"]
    )
    expected_kd = multilabel_kd(batch["student_logits_BC"], batch["teacher_logits_BC"], 2.0)
    torch.testing.assert_close(terms.label, expected_label)
    torch.testing.assert_close(terms.kd, expected_kd)
    assert terms.clt > 0
    torch.testing.assert_close(terms.total, 0.7 * terms.label + 3.0 * terms.kd + 0.2 * terms.clt)


@pytest.mark.parametrize("name", MORE_TERMS)
def test_another_way_to_teach_is_added_with_its_weight_and_changes_no_other_term(name: str):
    without = _objective(clt_weight=0.2)(**_batch(0))
    weight: dict[str, Any] = {f"{name}_weight": 0.3}
    objective = _objective(clt_weight=0.2, **weight)
    terms = objective(**_batch(0))
    assert getattr(without, name) is None
    value = getattr(terms, name)
    assert value > 0
    for other in ("label", "kd", "clt"):
        assert torch.equal(getattr(terms, other), getattr(without, other))
    torch.testing.assert_close(terms.total, without.total + 0.3 * value)
    assert objective.term_names == ("total", "label", "kd", "clt", name)


@pytest.mark.parametrize("name", MORE_TERMS)
def test_another_way_to_teach_can_be_all_that_there_is(name: str):
    weights: dict[str, Any] = {
        "label_weight": 0.0,
        "kd_weight": 0.0,
        "clt_weight": 0.0,
        f"{name}_weight": 1.0,
    }
    batch = _batch(0)
    for given in batch.values():
        given.requires_grad_(given.is_floating_point())
    objective = _objective(**weights)
    terms = objective(**batch)
    terms.total.backward()
    assert torch.equal(terms.total, getattr(terms, name))
    hears_of_logits = batch["student_logits_BC"].grad is not None
    assert hears_of_logits == objective.reads_student_logits
    assert batch["teacher_logits_BC"].grad is None
    assert batch["teacher_embedding_BD"].grad is None
    for parameter in objective.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("name", MORE_TERMS)
@pytest.mark.parametrize(
    "missing", ["teacher_logits_BC", "teacher_embedding_BD", "student_classifier_CS"]
)
def test_another_way_to_teach_names_what_it_misses(name: str, missing: str):
    weights: dict[str, Any] = {"kd_weight": 0.0, "clt_weight": 0.0, f"{name}_weight": 1.0}
    with pytest.raises(ValueError, match=f"{name}_weight.*{missing}"):
        _objective(**weights)(**(_batch(0) | {missing: None}))


def test_a_teacher_without_its_classifier_is_refused_where_its_weights_are_needed():
    with pytest.raises(ValueError, match=r"label_embedding_weight.*teacher_classifier_CD"):
        Objective(
            hyperparameters=Hyperparameters(label_embedding_weight=1.0),
            train_labels_NC=LABELS_NC,
            student_dim=STUDENT_DIM,
            teacher_dim=TEACHER_DIM,
            seed=0,
        )


def test_the_teachers_classifier_is_in_no_checkpoint():
    objective = _objective(label_embedding_weight=1.0, clt_weight=0.0)
    assert list(objective.state_dict()) == []


def test_a_student_alone_needs_no_teacher_and_learns_nothing_more():
    objective = _objective(kd_weight=0.0, clt_weight=0.0)
    batch = _batch(0)
    terms = objective(
        batch["student_logits_BC"],
        batch["student_embedding_BD"],
        batch["labels_BC"],
        batch["example_B"],
    )
    assert list(objective.state_dict()) == []
    assert (terms.kd.item(), terms.clt.item()) == (0, 0)
    assert torch.equal(terms.total, terms.label)


def test_distillation_without_labels_has_no_gradient_from_them():
    batch = _batch(0)
    student_BC = batch["student_logits_BC"].requires_grad_()
    batch["teacher_logits_BC"] = student_BC.detach().clone()
    terms = _objective(label_weight=0.0, clt_weight=0.0)(**batch)
    terms.total.backward()
    assert terms.label > 0
    assert terms.total.item() == 0
    assert student_BC.grad is not None
    assert student_BC.grad.abs().max() < 1e-7


@pytest.mark.parametrize(
    ("weights", "missing"),
    [
        ({"clt_weight": 0.0}, "teacher_logits_BC"),
        ({"kd_weight": 0.0}, "teacher_embedding_BD"),
    ],
)
def test_a_missing_teacher_is_named(weights: dict[str, Any], missing: str):
    objective = _objective(**weights)
    with pytest.raises(ValueError, match=missing):
        objective(**(_batch(0) | {missing: None}))


@pytest.mark.parametrize("clt_loss", CLT_LOSSES)
def test_both_heads_and_the_student_get_gradients_and_the_teacher_none(clt_loss: str):
    objective = _objective(clt_loss=clt_loss)
    batch = _batch(1)
    for name in ("student_embedding_BD", "teacher_embedding_BD", "teacher_logits_BC"):
        batch[name].requires_grad_()
    objective(**batch).total.backward()
    for name, parameter in objective.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert batch["student_embedding_BD"].grad is not None
    assert batch["teacher_embedding_BD"].grad is None
    assert batch["teacher_logits_BC"].grad is None


def test_the_seed_alone_decides_heads_banks_and_negatives():
    torch.manual_seed(1)
    first = _objective(seed=3)
    torch.manual_seed(2)
    second = _objective(seed=3)
    for number in range(3):
        assert torch.equal(first(**_batch(number)).total, second(**_batch(number)).total)
    assert not torch.equal(_objective(seed=3)(**_batch(0)).clt, _objective(seed=4)(**_batch(0)).clt)


@pytest.mark.parametrize("clt_loss", CLT_LOSSES)
def test_a_loaded_state_resumes_the_exact_negatives(clt_loss: str):
    straight = _objective(seed=1, clt_loss=clt_loss)
    for number in range(2):
        straight(**_batch(number))
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed = _objective(seed=2, clt_loss=clt_loss)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for number in range(2, 5):
        assert torch.equal(straight(**_batch(number)).total, resumed(**_batch(number)).total)


@pytest.mark.parametrize("clt_loss", CLT_LOSSES)
def test_everything_is_computed_in_float32_under_autocast(clt_loss: str):
    on = {"clt_loss": clt_loss, **dict.fromkeys(MORE_TEACHING_WEIGHTS, 0.5)}
    on |= {"n_finer": C, "finer_weight": 0.5}
    batch = _batch(0)
    batch |= {"labels_BC": batch["labels_BC"].repeat(1, 2)}
    halves = {
        name: value.bfloat16() if value.is_floating_point() else value
        for name, value in batch.items()
    }
    rounded = {
        name: value.float() if value.is_floating_point() else value
        for name, value in halves.items()
    }
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = _objective(**on)(**halves)
    expected = _objective(**on)(**rounded)
    for field in fields(ObjectiveTerms):
        if field.name == "plugin":
            continue  # none is installed here
        value = getattr(terms, field.name)
        assert value.dtype == torch.float32
        assert torch.equal(value, getattr(expected, field.name))


def test_a_split_of_one_recording_is_refused_with_what_to_do():
    with pytest.raises(ConfigError, match="clt_weight"):
        Objective(
            hyperparameters=Hyperparameters(),
            train_labels_NC=torch.ones(1, 2),
            student_dim=2,
            teacher_dim=2,
            seed=0,
        )


def test_rows_without_a_label_have_no_part_in_the_label_loss_and_all_of_it_in_the_teachers():
    labels_NC = LABELS_NC.clone()
    labels_NC[::3] = torch.nan
    objective = Objective(
        hyperparameters=Hyperparameters(clt_weight=0.0, kd_weight=1.0),
        train_labels_NC=labels_NC,
        student_dim=STUDENT_DIM,
        teacher_dim=TEACHER_DIM,
        seed=0,
    )
    sums = torch.zeros(C)
    for first in range(0, N, 10):
        batch = _batch(first)
        example_B = torch.arange(first, first + 10)
        batch |= {"labels_BC": labels_NC[example_B], "example_B": example_B}
        generator = torch.Generator().manual_seed(first)
        logits_BC = torch.randn(10, C, generator=generator, requires_grad=True)
        teacher_BC = torch.randn(10, C, generator=generator)
        batch |= {"student_logits_BC": logits_BC, "teacher_logits_BC": teacher_BC}
        batch["student_embedding_BD"] = torch.zeros(10, STUDENT_DIM)
        terms = objective(**batch)
        assert terms.kd.item() == pytest.approx(
            multilabel_kd(logits_BC, teacher_BC, 2.0).item(), rel=1e-6
        )
        [gradient_BC] = torch.autograd.grad(terms.total - terms.kd, logits_BC, retain_graph=True)
        assert torch.isfinite(gradient_BC).all()
        known_B = ~batch["labels_BC"][:, 0].isnan()
        expected = functional.binary_cross_entropy_with_logits(
            logits_BC[known_B], batch["labels_BC"][known_B]
        )
        sums[0] += terms.label
        sums[1] += expected.detach() * known_B.sum()
    # Over an epoch it is the mean over all labelled recordings: each counts the same.
    n_known = int((~labels_NC[:, 0].isnan()).sum())
    assert sums[0].item() / (N / 10) == pytest.approx(sums[1].item() / n_known, rel=1e-5)


def test_a_label_loss_of_parts_adds_up_to_that_of_the_batch_though_one_part_has_no_label():
    labels_NC = LABELS_NC.clone()
    labels_NC[:30] = torch.nan
    objective = Objective(
        hyperparameters=Hyperparameters(kd_weight=0.0, clt_weight=0.0),
        train_labels_NC=labels_NC,
        student_dim=STUDENT_DIM,
        teacher_dim=TEACHER_DIM,
        seed=0,
    )
    example_B = torch.tensor([1, 5, 7, 40])
    logits_BC = torch.randn(4, C, generator=torch.Generator().manual_seed(1))

    def label_loss(part: slice) -> float:
        rows = example_B[part]
        embedding_BD = torch.zeros(len(rows), STUDENT_DIM)
        return objective(logits_BC[part], embedding_BD, labels_NC[rows], rows).label.item()

    whole = label_loss(slice(0, 4))
    assert whole > 0
    assert label_loss(slice(0, 2)) == 0
    parts = (label_loss(slice(0, 2)) + label_loss(slice(2, 4))) / 2
    assert parts == pytest.approx(whole, rel=1e-6)


def test_finer_labels_behind_the_others_have_a_term_of_their_own_and_move_the_embedding():
    objective = _objective(n_finer=2, finer_weight=0.5, label_weight=0.7, kd_weight=3.0)
    batch = _batch(0)
    finer_BF = torch.tensor([[1.0, 0.0]]).repeat(B, 1)
    embedding_BD = batch["student_embedding_BD"].requires_grad_()
    terms = objective(**batch | {"labels_BC": torch.cat([batch["labels_BC"], finer_BF], dim=1)})
    plain = _objective(label_weight=0.7, kd_weight=3.0)(**batch)
    assert objective.term_names == ("total", "label", "kd", "clt", "finer")
    for name in ("label", "kd", "clt"):
        assert torch.equal(getattr(terms, name), getattr(plain, name))
    head = objective.finer_head
    p_BF = torch.sigmoid(embedding_BD @ head.weight.T + head.bias)
    expected = -(torch.log(p_BF[:, 0]) + torch.log(1 - p_BF[:, 1])).mean() / 2
    assert terms.finer is not None
    torch.testing.assert_close(terms.finer, expected.detach())
    torch.testing.assert_close(terms.total, plain.total + 0.5 * terms.finer)
    [gradient] = torch.autograd.grad(terms.total - plain.total, embedding_BD)
    assert gradient.abs().sum() > 0
