"""The authors' losses: our `authors` settings against a plain reading of their formulas.

The reference below is written from the formulas alone, one number at a time, in float64, and
shares no code with the package. It is run beside ours for several steps of training on the same
tensors: what the released code adds up, what its banks remember, and what teaches whom.

    L = BCE + MKD + 0.8 CLT,  with MKD at temperature 1 and CLT = CRD at tau 0.07, momentum 0.5
"""

import math
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.distill.losses.clt_crd import ContrastiveBanks
from mvkt_ray.distill.losses.multilabel_kd import multilabel_kd_authors
from mvkt_ray.distill.negatives import draw_negatives, negative_pools
from mvkt_ray.distill.objective import Objective

N, C, B, K, P = 30, 5, 4, 6, 3
SIGNAL_DIM, STUDENT_DIM, TEACHER_DIM = 5, 4, 6
TAU, MOMENTUM = 0.07, 0.5
LABELS_NC = (torch.rand(N, C, generator=torch.Generator().manual_seed(0)) < 0.4).float()
EXAMPLES = [[3, 7, 0, 29], [1, 7, 12, 3], [20, 21, 22, 3], [7, 0, 5, 29]]
"""By step; rows come back, so that momentum counts."""


def reference_label(student: Tensor, labels: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for i in range(len(student)):
        for c in range(student.shape[1]):
            p = 1 / (1 + torch.exp(-student[i, c]))
            total = total - (torch.log(p) if labels[i, c] > 0 else torch.log(1 - p))
    return total / student.numel()


def reference_mkd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Sum over classes of the mean over recordings and the two outcomes."""
    total = torch.zeros((), dtype=torch.float64)
    n_recordings, n_classes = student.shape
    for c in range(n_classes):
        of_class = torch.zeros((), dtype=torch.float64)
        for i in range(n_recordings):
            p_s = 1 / (1 + torch.exp(-student[i, c]))
            p_t = 1 / (1 + torch.exp(-teacher[i, c]))
            for own, target in ((p_s, p_t), (1 - p_s, 1 - p_t)):
                log_input = torch.log(own / temperature + 1e-8)
                aim = target / temperature + 1e-8
                of_class = of_class + aim * (torch.log(aim) - log_input)
        total = total + of_class / (n_recordings * 2)
    return total


def dot(a: Tensor, b: Tensor) -> Tensor:
    zero = torch.zeros((), dtype=torch.float64)
    return sum((x * y for x, y in zip(a, b, strict=True)), zero)


def unit(vector: Tensor) -> Tensor:
    return vector / torch.sqrt(dot(vector, vector))


@dataclass
class ReferenceBanks:
    """The two banks of the released code, and its two constants Z."""

    student: list[Tensor]
    teacher: list[Tensor]
    z: dict[str, float] = field(default_factory=dict)

    def side(
        self, name: str, anchors: list[Tensor], bank: list[Tensor], rows: list[list[int]]
    ) -> Tensor:
        """-1/B sum_i [log D1(i) + sum_k log D0(i, k)], Z being N times the first batch's mean."""
        scores = [
            [torch.exp(dot(anchor, bank[row].detach()) / TAU) for row in own]
            for anchor, own in zip(anchors, rows, strict=True)
        ]
        if name not in self.z:
            flat = [score.item() for own in scores for score in own]
            self.z[name] = len(bank) * sum(flat) / len(flat)
        n_negatives, loss = len(rows[0]) - 1, torch.zeros((), dtype=torch.float64)
        noise = n_negatives / len(bank)
        for own in scores:
            p = own[0] / self.z[name]
            loss = loss - torch.log(p / (p + noise + 1e-7))
            for score in own[1:]:
                loss = loss - torch.log(noise / (score / self.z[name] + noise + 1e-7))
        return loss / len(anchors)

    def update(self, bank: list[Tensor], anchors: list[Tensor], examples: list[int]) -> None:
        for anchor, row in zip(anchors, examples, strict=True):
            bank[row] = unit(MOMENTUM * bank[row] + (1 - MOMENTUM) * anchor.detach())


def hyperparameters(**changes: object) -> Hyperparameters:
    authors = {
        "kd_loss": "multilabel_kd_authors",
        "kd_weight": 1.0,
        "distill_temperature": 1.0,
        "clt_weight": 0.8,
        "clt_temperature": TAU,
        "bank_momentum": MOMENTUM,
        "n_negatives": K,
        "projection_dim": P,
        "negatives": "authors",
    }
    return Hyperparameters(**(authors | changes))  # type: ignore[arg-type]


@dataclass
class Pair:
    """Ours in float32 and the reference's float64 copies of all that learns."""

    objective: Objective
    ours: list[Tensor]
    theirs: list[Tensor]
    banks: ReferenceBanks


def new_pair() -> Pair:
    objective = Objective(
        hyperparameters=hyperparameters(),
        train_labels_NC=LABELS_NC,
        student_dim=STUDENT_DIM,
        teacher_dim=TEACHER_DIM,
        seed=2,
    )
    generator = torch.Generator().manual_seed(3)
    backbone = torch.randn(STUDENT_DIM, SIGNAL_DIM, generator=generator).requires_grad_()
    classifier = torch.randn(C, STUDENT_DIM, generator=generator).requires_grad_()
    ours = [backbone, classifier, *objective.parameters()]
    assert isinstance(objective.clt_loss, ContrastiveBanks)
    return Pair(
        objective=objective,
        ours=ours,
        theirs=[tensor.detach().double().requires_grad_() for tensor in ours],
        banks=ReferenceBanks(
            student=list(objective.clt_loss.student_bank_NP.double().clone()),
            teacher=list(objective.clt_loss.teacher_bank_NP.double().clone()),
        ),
    )


def draws_of_next_step(banks: ContrastiveBanks, example: Tensor) -> list[list[int]]:
    """The positive and the negatives that ours is about to take, as both must see the same."""
    generator = torch.Generator()
    generator.set_state(banks.generator.get_state())
    negatives = draw_negatives(banks.pools, example, K, generator)
    return [[int(i), *own] for i, own in zip(example, negatives.tolist(), strict=True)]


@dataclass
class ReferenceStep:
    """The terms of one step by the formulas, still differentiable, and what goes into the banks."""

    label: Tensor
    mkd: Tensor
    student_side: Tensor
    teacher_side: Tensor
    students: list[Tensor]
    teachers: list[Tensor]

    @property
    def clt(self) -> Tensor:
        return self.student_side + self.teacher_side

    @property
    def total(self) -> Tensor:
        return self.label + self.mkd + 0.8 * self.clt


def reference_step(pair: Pair, batch: dict[str, Tensor], rows: list[list[int]]) -> ReferenceStep:
    backbone, classifier, s_weight, s_bias, t_weight, t_bias = pair.theirs
    embedding = batch["signal"].double() @ backbone.T
    logits = embedding @ classifier.T
    students = [unit(s_weight @ row + s_bias) for row in embedding]
    teachers = [unit(t_weight @ row + t_bias) for row in batch["teacher_embedding"].double()]
    return ReferenceStep(
        label=reference_label(logits, batch["labels"]),
        mkd=reference_mkd(logits, batch["teacher_logits"].double(), 1.0),
        student_side=pair.banks.side("student", students, pair.banks.teacher, rows),
        teacher_side=pair.banks.side("teacher", teachers, pair.banks.student, rows),
        students=students,
        teachers=teachers,
    )


def batch_of(step: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(10 + step)
    return {
        "signal": torch.randn(B, SIGNAL_DIM, generator=generator),
        "teacher_logits": 2 * torch.randn(B, C, generator=generator),
        "teacher_embedding": torch.randn(B, TEACHER_DIM, generator=generator),
        "labels": LABELS_NC[EXAMPLES[step]],
        "example": torch.tensor(EXAMPLES[step]),
    }


def slopes(of: Tensor, to: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(of, to, retain_graph=True)


def test_several_steps_of_training_are_those_of_the_released_code() -> None:
    pair = new_pair()
    banks = pair.objective.clt_loss
    assert isinstance(banks, ContrastiveBanks)
    for step, examples in enumerate(EXAMPLES):
        batch = batch_of(step)
        rows = draws_of_next_step(banks, batch["example"])
        embedding = batch["signal"] @ pair.ours[0].T
        terms = pair.objective(
            embedding @ pair.ours[1].T, embedding, batch["labels"], batch["example"],
            batch["teacher_logits"], batch["teacher_embedding"],
        )  # fmt: skip
        expected = reference_step(pair, batch, rows)

        values = (terms.label, terms.kd, terms.clt, terms.total)
        theirs = (expected.label, expected.mkd, expected.clt, expected.total)
        for ours, other in zip(values, theirs, strict=True):
            assert ours.item() == pytest.approx(other.item(), rel=1e-5), step
        gradients, wanted = slopes(terms.total, pair.ours), slopes(expected.total, pair.theirs)
        for ours, other in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(ours.double(), other, rtol=1e-3, atol=1e-4)
        # What reaches the student's backbone from CLT is its own side's, and nothing else.
        backbone = pair.theirs[:1]
        (other_terms,) = slopes(expected.label + expected.mkd, backbone)
        (own_side,) = slopes(expected.student_side, backbone)
        torch.testing.assert_close(
            gradients[0].double() - other_terms, 0.8 * own_side, rtol=1e-3, atol=1e-4
        )
        reached = torch.autograd.grad(
            expected.teacher_side, pair.theirs, retain_graph=True, allow_unused=True
        )
        assert [gradient is not None for gradient in reached] == [False] * 4 + [True] * 2

        pair.banks.update(pair.banks.student, expected.students, examples)
        pair.banks.update(pair.banks.teacher, expected.teachers, examples)
        for ours, other in (
            (banks.student_bank_NP, pair.banks.student),
            (banks.teacher_bank_NP, pair.banks.teacher),
        ):
            torch.testing.assert_close(ours.double(), torch.stack(other), rtol=0, atol=1e-5)
        expected_z = [math.log(pair.banks.z[name]) for name in ("student", "teacher")]
        assert banks.log_normalisers_2.tolist() == pytest.approx(expected_z, rel=1e-5)
        descend(pair.ours, gradients)
        descend(pair.theirs, wanted)


@torch.no_grad()
def descend(parameters: list[Tensor], gradients: tuple[Tensor, ...]) -> None:
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter -= 0.01 * gradient


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_mkd_has_the_value_and_the_gradient_of_the_formula(
    temperature: float, scale: float
) -> None:
    student, teacher = scale * torch.randn(
        2, 6, C, generator=torch.Generator().manual_seed(5), dtype=torch.float64
    )
    ours, theirs = (student.clone().requires_grad_() for _ in range(2))
    value = multilabel_kd_authors(ours, teacher, temperature)
    expected = reference_mkd(theirs, teacher, temperature)
    assert value.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(
        *torch.autograd.grad(value, [ours]), *torch.autograd.grad(expected, [theirs])
    )


def test_the_negatives_of_ptbxl_are_told_apart_by_the_flag_of_the_first_class_alone() -> None:
    # The released sampler takes label[0] - 1 for the number of a class; here it is 0 or -1.
    numbers = [int(label[0]) - 1 for label in LABELS_NC]
    assert set(numbers) == {0, -1}
    pools = negative_pools(LABELS_NC, "authors")
    n_drawn = N - max(numbers.count(number) for number in set(numbers))
    drawn = draw_negatives(pools, torch.arange(N), n_drawn, torch.Generator().manual_seed(0))
    for anchor in range(N):
        others = {i for i in range(N) if numbers[i] != numbers[anchor]}
        assert set(drawn[anchor].tolist()) <= others
        if len(others) == n_drawn:
            assert set(drawn[anchor].tolist()) == others


def test_where_nobody_has_the_first_class_any_other_recording_is_a_negative() -> None:
    labels = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    pools = negative_pools(labels, "authors")
    drawn = draw_negatives(pools, torch.tensor([0]), 2, torch.Generator().manual_seed(0))
    assert sorted(drawn[0].tolist()) == [1, 2]
