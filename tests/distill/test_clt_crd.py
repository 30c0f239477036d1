"""CRD against an independent implementation in loops, its state, and its banks."""

import copy
import io
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from mvkt_ray.distill.losses.clt_crd import ContrastiveBanks, clt_crd, estimate_log_normalisers

TAU = 0.07
WHOLE_AND_GATHERED = (5, 9)
"""15 rows are asked of the bank: of 5 all similarities are computed, of 9 the rows are gathered."""
SIDES = (
    ("student_projection_BP", "teacher_bank_NP"),
    ("teacher_projection_BP", "student_bank_NP"),
)


def _units(seed: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(
        torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1
    )


def _case(n: int = 9, k: int = 4) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return {
        "student_projection_BP": _units(1, 3, 5),
        "teacher_projection_BP": _units(2, 3, 5),
        "example_B": torch.tensor([4, 0, n - 2]),
        "negatives_BK": torch.randint(n, (3, k), generator=generator),
        "student_bank_NP": _units(3, n, 5),
        "teacher_bank_NP": _units(4, n, 5),
    }


def _side_in_loops(
    anchors: Tensor, bank: Tensor, example: Tensor, negatives: Tensor, log_z: float, tau: float
) -> float:
    """NCE of one side as Tian et al. and the released code write it, one number at a time."""
    n, k = len(bank), negatives.shape[1]
    loss = 0.0
    for i in range(len(anchors)):
        for position, row in enumerate([int(example[i]), *negatives[i].tolist()]):
            dot = sum(float(a) * float(b) for a, b in zip(anchors[i], bank[row], strict=True))
            p = math.exp(dot / tau) / math.exp(log_z)
            numerator = p if position == 0 else k / n
            loss -= math.log(numerator / (p + k / n + 1e-7))
    return loss / len(anchors)


def _normalisers_in_loops(case: dict[str, Tensor], tau: float) -> list[float]:
    log_zs = []
    for anchors, bank in SIDES:
        scores = [
            math.exp(float(case[anchors][i] @ case[bank][row]) / tau)
            for i in range(3)
            for row in [int(case["example_B"][i]), *case["negatives_BK"][i].tolist()]
        ]
        log_zs.append(math.log(len(case[bank]) * sum(scores) / len(scores)))
    return log_zs


@pytest.mark.parametrize("n", WHOLE_AND_GATHERED)
@pytest.mark.parametrize("tau", [TAU, 0.5])
def test_it_equals_an_independent_implementation_in_loops(n: int, tau: float):
    case = _case(n)
    log_z_student, log_z_teacher = _normalisers_in_loops(case, tau)
    expected = sum(
        _side_in_loops(
            case[anchors], case[bank], case["example_B"], case["negatives_BK"], log_z, tau
        )
        for (anchors, bank), log_z in zip(SIDES, (log_z_student, log_z_teacher), strict=True)
    )
    estimated_2 = estimate_log_normalisers(**case, temperature=tau)
    assert estimated_2.tolist() == pytest.approx([log_z_student, log_z_teacher], rel=1e-12)
    value = clt_crd(**case, log_normalisers_2=estimated_2, temperature=tau)
    assert value.item() == pytest.approx(expected, rel=1e-10)


def test_one_negative_by_hand():
    axes = torch.eye(2, dtype=torch.float64)
    value = clt_crd(
        axes[:1], axes[:1], torch.tensor([0]), torch.tensor([[1]]), axes, axes, torch.zeros(2), 1.0
    )
    # P is e for the positive and 1 for the negative, K / N is 1 / 2, and both sides are the same.
    by_hand = math.log((math.e + 0.5) / math.e) + math.log((1 + 0.5) / 0.5)
    assert value.item() == pytest.approx(2 * by_hand, rel=1e-6)


@pytest.mark.parametrize("n", WHOLE_AND_GATHERED)
def test_banks_may_be_updated_before_the_backward_pass(n: int):
    def gradient(update: bool) -> Tensor:
        case = _case(n)
        student_BP = case["student_projection_BP"].requires_grad_()
        loss = clt_crd(**case, log_normalisers_2=torch.zeros(2), temperature=TAU)
        if update:
            case["student_bank_NP"].zero_()
            case["teacher_bank_NP"].zero_()
        loss.backward()
        assert student_BP.grad is not None
        return student_BP.grad

    assert torch.equal(gradient(update=True), gradient(update=False))


def test_gradients_are_those_of_finite_differences_on_both_sides():
    case = _case()
    student_BP = case.pop("student_projection_BP").requires_grad_()
    teacher_BP = case.pop("teacher_projection_BP").requires_grad_()
    log_normalisers_2 = torch.tensor([2.0, 3.0])
    assert torch.autograd.gradcheck(
        lambda s, t: clt_crd(s, t, **case, log_normalisers_2=log_normalisers_2, temperature=0.3),
        (student_BP, teacher_BP),
    )


def _banks(
    *, n: int = 40, seed: int = 0, negatives: str = "disjoint", k: int = 6
) -> ContrastiveBanks:
    labels_NC = torch.eye(4)[torch.arange(n) % 4]
    return ContrastiveBanks(
        train_labels_NC=labels_NC,
        projection_dim=5,
        n_negatives=k,
        temperature=TAU,
        momentum=0.25,
        negatives=negatives,
        generator=torch.Generator().manual_seed(seed),
    )


def _step(banks: ContrastiveBanks, number: int) -> Tensor:
    student_BP, teacher_BP = _units(number, 2, 3, 5).float()
    example_B = torch.tensor([number, number + 1, number + 20])
    return banks(student_BP, teacher_BP, torch.eye(4)[example_B % 4], example_B)


def test_an_untrained_pair_costs_about_two_times_log_k_plus_one_plus_one():
    banks = ContrastiveBanks(
        train_labels_NC=torch.eye(5)[torch.arange(2000) % 5],
        projection_dim=128,
        n_negatives=1024,
        temperature=1.0,
        momentum=0.5,
        negatives="disjoint",
        generator=torch.Generator().manual_seed(0),
    )
    generator = torch.Generator().manual_seed(1)
    student_BP, teacher_BP = functional.normalize(
        torch.randn(2, 64, 128, generator=generator), dim=2
    )
    loss = banks(student_BP, teacher_BP, torch.zeros(64, 5), torch.arange(64))
    assert loss.item() == pytest.approx(2 * (math.log(1025) + 1), rel=0.01)


def test_banks_move_towards_the_new_projections_and_stay_on_the_unit_sphere():
    banks = _banks()
    before = banks.student_bank_NP.clone()
    _step(banks, 1)
    new_BP = _units(1, 2, 3, 5).float()[0]
    rows = [1, 2, 21]
    expected = functional.normalize(0.25 * before[rows] + 0.75 * new_BP, dim=1)
    torch.testing.assert_close(banks.student_bank_NP[rows], expected)
    others = [row for row in range(40) if row not in rows]
    assert torch.equal(banks.student_bank_NP[others], before[others])
    torch.testing.assert_close(banks.teacher_bank_NP.norm(dim=1), torch.ones(40))


def test_in_evaluation_the_banks_stay():
    banks = _banks().eval()
    before = copy.deepcopy(banks.state_dict())
    _step(banks, 1)
    assert torch.equal(banks.student_bank_NP, before["student_bank_NP"])
    assert torch.equal(banks.teacher_bank_NP, before["teacher_bank_NP"])


def test_the_normalisers_are_those_of_the_first_batch_for_good():
    banks = _banks()
    _step(banks, 1)
    first_2 = banks.log_normalisers_2.clone()
    assert first_2.abs().min() > 0
    _step(banks, 2)
    assert torch.equal(banks.log_normalisers_2, first_2)


def test_a_saved_and_loaded_state_goes_on_with_exactly_the_same_numbers():
    straight = _banks()
    for number in range(3):
        _step(straight, number)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed = _banks(seed=99)
    _step(resumed, 9)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for number in range(3, 6):
        assert torch.equal(_step(straight, number), _step(resumed, number))
    assert torch.equal(straight.student_bank_NP, resumed.student_bank_NP)
    assert torch.equal(straight.teacher_bank_NP, resumed.teacher_bank_NP)


def test_only_the_students_own_side_teaches_the_student():
    case = _case()
    student_BP = case["student_projection_BP"].requires_grad_()
    teacher_BP = case["teacher_projection_BP"].requires_grad_()
    clt_crd(**case, log_normalisers_2=torch.zeros(2), temperature=TAU).backward()
    assert student_BP.grad is not None
    alone = case | {"teacher_projection_BP": _units(11, 3, 5)}
    alone["student_projection_BP"] = student_BP.detach().clone().requires_grad_()
    clt_crd(**alone, log_normalisers_2=torch.zeros(2), temperature=TAU).backward()
    assert alone["student_projection_BP"].grad is not None
    assert torch.equal(student_BP.grad, alone["student_projection_BP"].grad)
    assert teacher_BP.grad is not None
    assert teacher_BP.grad.abs().max() > 0


def test_a_small_temperature_does_not_overflow():
    student_BP = _units(1, 3, 5).float().requires_grad_()
    case = {
        name: value.float() if value.is_floating_point() else value
        for name, value in _case().items()
    }
    case |= {"student_projection_BP": student_BP, "teacher_bank_NP": _units(1, 9, 5).float()}
    log_normalisers_2 = estimate_log_normalisers(**case, temperature=0.005)
    loss = clt_crd(**case, log_normalisers_2=log_normalisers_2, temperature=0.005)
    loss.backward()
    assert student_BP.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(student_BP.grad).all()
