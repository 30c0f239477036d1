"""The traditional distillation loss."""

import math

import pytest
import torch

from mvkt_ray.distill.losses.softmax_kd import softmax_kd


def test_two_classes_by_hand():
    student_BC, teacher_BC = torch.zeros(1, 2), torch.tensor([[math.log(3), 0.0]])
    by_hand = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert softmax_kd(student_BC, teacher_BC, 1.0).item() == pytest.approx(by_hand)
    assert softmax_kd(student_BC, 3 * teacher_BC, 3.0).item() == pytest.approx(9 * by_hand)


def test_it_is_torchs_batchmean_kl_div_times_t_squared():
    student_BC, teacher_BC = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.kl_div(
        torch.log_softmax(student_BC / 4, 1),
        torch.softmax(teacher_BC / 4, 1),
        reduction="batchmean",
    )
    torch.testing.assert_close(softmax_kd(student_BC, teacher_BC, 4.0), 16 * expected)


def test_it_cannot_see_a_shift_of_all_logits_which_is_why_mkd_replaces_it():
    teacher_BC = torch.randn(3, 4)
    shifted = softmax_kd(teacher_BC + 5, teacher_BC, 2.0)
    torch.testing.assert_close(shifted, torch.zeros(()), atol=1e-5, rtol=0)
