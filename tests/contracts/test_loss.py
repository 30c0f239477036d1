"""Every loss of the tables: a hand-computed value, a finite gradient, float32 inside, lockstep."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.distill.both_say import Loss
from mvkt_ray.distill.losses.clt_crd import clt_crd
from mvkt_ray.distill.losses.clt_infonce import clt_infonce
from mvkt_ray.distill.losses.dist_relation import dist_relation
from mvkt_ray.distill.losses.feature_regression import feature_regression
from mvkt_ray.distill.losses.label_embedding import label_embedding
from mvkt_ray.distill.more_terms import MORE_TERMS, MoreTerms
from mvkt_ray.distill.objective import CLT_LOSSES, KD_LOSSES
from mvkt_ray.testing import LossContract

DIVERGENCE = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
"""KL of (3/4, 1/4) from (1/2, 1/2)."""

KD_BY_HAND = {
    # Two classes: logits 0 and 0 of the student, log 3 and 0 of the teacher.
    "multilabel_kd": DIVERGENCE / 2,  # mean over two classes, the second agrees
    "multilabel_kd_authors": DIVERGENCE / 2,  # sum over classes, mean over two outcomes
    "softmax_kd": DIVERGENCE,
}

CLT_BY_HAND: dict[str, tuple[Callable[..., Tensor], float]] = {
    # Two recordings of different diseases; both models see them as the same two axes, tau 1.
    "crd": (
        lambda student, teacher: clt_crd(
            student,
            teacher,
            torch.tensor([0, 1]),
            torch.tensor([[1], [0]]),
            torch.eye(2),
            torch.eye(2),
            torch.zeros(2),
            1.0,
        ),
        2 * (math.log(1 + 0.5 / math.e) + math.log(3)),
    ),
    "infonce": (
        lambda student, teacher: clt_infonce(student, teacher, torch.eye(2), 1.0),
        math.log(math.e + 1) - 1,
    ),
}

MORE_BY_HAND: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], float]] = {
    # Two recordings: the models agree on the first column and say opposites of the second.
    "relation": (lambda student, teacher: dist_relation(student, teacher, 2.0), (0 + 2) / 2),
    "feature": (feature_regression, (0 + 4) / 2),
    # Both have both classes, whose embeddings are sqrt(2) and sqrt(18) apart, each in its model.
    "label_embedding": (
        lambda student, teacher: label_embedding(
            student, torch.eye(2), teacher, torch.eye(2), torch.ones(2, 2).bool()
        ),
        0.0,
    ),
}


def test_every_loss_of_the_tables_has_its_hand_computed_value_here():
    assert set(KD_BY_HAND) == set(KD_LOSSES)
    assert set(CLT_BY_HAND) == set(CLT_LOSSES)
    assert set(MORE_BY_HAND) == set(MORE_TERMS)


@pytest.mark.parametrize("name", KD_LOSSES)
def test_a_distillation_loss_has_its_hand_computed_value(name: str):
    value = KD_LOSSES[name](torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]]), 1.0)
    assert value.shape == ()
    assert value.item() == pytest.approx(KD_BY_HAND[name], rel=1e-5)


@pytest.mark.parametrize("name", CLT_LOSSES)
def test_a_contrastive_loss_has_its_hand_computed_value(name: str):
    loss, by_hand = CLT_BY_HAND[name]
    value = loss(torch.eye(2), torch.eye(2))
    assert value.shape == ()
    assert value.item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.parametrize("name", MORE_TERMS)
def test_another_way_to_teach_has_its_hand_computed_value(name: str):
    loss, by_hand = MORE_BY_HAND[name]
    student = torch.tensor([[1.0, -1.0], [-1.0, 1.0]])
    value = loss(student, torch.tensor([[3.0, 3.0], [-3.0, -3.0]]))
    assert value.shape == ()
    assert value.item() == pytest.approx(by_hand, rel=1e-5)


class TestMoreWaysToTeach(LossContract):
    @pytest.fixture(params=MORE_TERMS)
    def loss(self, request: pytest.FixtureRequest) -> Loss:
        name: str = request.param
        generator = torch.Generator().manual_seed(1)
        terms = MoreTerms(
            hyperparameters=Hyperparameters(**{f"{name}_weight": 1.0}),  # type: ignore[arg-type]
            student_dim=5,
            teacher_dim=7,
            teacher_classifier_CD=torch.randn(4, 7, generator=generator),
            seed=0,
        )
        return lambda said: terms(said)[name]


@pytest.mark.parametrize("name", KD_LOSSES)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_distillation_costs_nothing_when_the_student_equals_the_teacher(
    name: str, temperature: float
):
    teacher_BC = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    student_BC = teacher_BC.clone().requires_grad_()
    loss = KD_LOSSES[name](student_BC, teacher_BC, temperature)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert student_BC.grad is not None
    assert student_BC.grad.abs().max() < 1e-6


@pytest.mark.parametrize("name", KD_LOSSES)
def test_gradients_are_those_of_finite_differences(name: str):
    generator = torch.Generator().manual_seed(0)
    student_BC, teacher_BC = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda student_BC: KD_LOSSES[name](student_BC, teacher_BC, 2.0),
        (student_BC.requires_grad_(),),
    )


@pytest.mark.parametrize("name", KD_LOSSES)
def test_half_precision_logits_are_cast_up_and_double_stays(name: str):
    generator = torch.Generator().manual_seed(0)
    student_BC, teacher_BC = torch.randn(2, 3, 4, generator=generator).bfloat16()
    value = KD_LOSSES[name](student_BC, teacher_BC, 2.0)
    assert torch.equal(value, KD_LOSSES[name](student_BC.float(), teacher_BC.float(), 2.0))
    assert KD_LOSSES[name](student_BC.double(), teacher_BC.double(), 2.0).dtype == torch.float64


@pytest.mark.parametrize("name", KD_LOSSES)
def test_many_students_with_their_own_temperatures_are_distilled_in_one_call(name: str):
    generator = torch.Generator().manual_seed(0)
    students_MBC = torch.randn(3, 5, 4, generator=generator)
    teacher_BC = torch.randn(5, 4, generator=generator)
    temperature_M = torch.tensor([1.0, 2.0, 5.0])
    together_M = torch.vmap(KD_LOSSES[name], in_dims=(0, None, 0))(
        students_MBC, teacher_BC, temperature_M
    )
    for student_BC, temperature, value in zip(students_MBC, temperature_M, together_M, strict=True):
        torch.testing.assert_close(value, KD_LOSSES[name](student_BC, teacher_BC, temperature))


def test_many_students_are_taught_in_one_call():
    generator = torch.Generator().manual_seed(0)
    students_MBC = torch.randn(3, 5, 4, generator=generator)
    classifiers_MCC = torch.randn(3, 4, 4, generator=generator)
    teacher_BC, teacher_CC = torch.randn(5, 4, generator=generator), torch.eye(4)
    positive_BC = torch.rand(5, 4, generator=generator) < 0.6
    temperature_M = torch.tensor([1.0, 2.0, 5.0])

    def every(student_BC: Tensor, classifier_CC: Tensor, temperature: Tensor) -> Tensor:
        return torch.stack(
            [
                dist_relation(student_BC, teacher_BC, temperature),
                feature_regression(student_BC, teacher_BC),
                label_embedding(student_BC, classifier_CC, teacher_BC, teacher_CC, positive_BC),
            ]
        )

    cases = (students_MBC, classifiers_MCC, temperature_M)
    one_by_one = [every(*case) for case in zip(*cases, strict=True)]
    torch.testing.assert_close(torch.vmap(every)(*cases), torch.stack(one_by_one))


def test_many_students_are_contrasted_in_one_call():
    generator = torch.Generator().manual_seed(0)
    students_MBP = torch.nn.functional.normalize(torch.randn(3, 4, 5, generator=generator), dim=2)
    banks_MNP = torch.nn.functional.normalize(torch.randn(3, 7, 5, generator=generator), dim=2)
    teacher_BP, temperature_M = students_MBP[0].flip(0), torch.tensor([0.07, 0.1, 0.5])
    labels_BC = torch.eye(4)[[0, 1, 2, 0]]
    indices = (torch.tensor([0, 2, 4, 6]), torch.randint(7, (4, 9), generator=generator))

    def both(student_BP: Tensor, bank_NP: Tensor, temperature: Tensor) -> Tensor:
        crd = clt_crd(
            student_BP, teacher_BP, *indices, bank_NP, bank_NP, torch.zeros(2), temperature
        )
        return torch.stack([crd, clt_infonce(student_BP, teacher_BP, labels_BC, temperature)])

    together_M2 = torch.vmap(both)(students_MBP, banks_MNP, temperature_M)
    one_by_one = [both(*case) for case in zip(students_MBP, banks_MNP, temperature_M, strict=True)]
    torch.testing.assert_close(together_M2, torch.stack(one_by_one))


@pytest.mark.parametrize("name", CLT_LOSSES)
def test_a_contrastive_term_built_from_hyperparameters_has_a_finite_gradient(name: str):
    generator = torch.Generator().manual_seed(0)
    labels_NC = torch.eye(3)[torch.arange(30) % 3]
    hyperparameters = Hyperparameters(n_negatives=8, projection_dim=5, clt_temperature=0.03)
    term = CLT_LOSSES[name](hyperparameters, labels_NC, generator)
    projections = torch.nn.functional.normalize(torch.randn(2, 6, 5, generator=generator), dim=2)
    student_BP, teacher_BP = projections.requires_grad_()
    loss = term(student_BP, teacher_BP, labels_NC[:6], torch.arange(6))
    loss.backward()
    assert loss.shape == ()
    assert projections.grad is not None
    assert torch.isfinite(projections.grad).all()
    assert projections.grad.abs().amax(dim=(1, 2)).min() > 0
