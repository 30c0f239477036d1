"""The contract suite of additional distillation losses, for built-ins and plug-ins.

Shapes: B batch, C classes, S student's embedding, D teacher's embedding.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mvkt_ray.distill.both_say import BothSay, Loss

_N_ROWS = 6


class LossContract:
    """Contract of a loss; subclass it, and override `loss`.

    class TestLogitDistance(LossContract):
        @pytest.fixture
        def loss(self):
            return logit_distance
    """

    @pytest.fixture
    def loss(self) -> Loss:
        """Return the loss: a function of the outputs of student and teacher for a batch."""
        raise NotImplementedError("override the fixture loss")

    def test_it_is_one_number_whose_gradient_reaches_the_student(self, loss: Loss) -> None:
        """The gradient is finite, and reaches logits, embedding or classifier."""
        said = _said()
        tensors = [said.student_logits_BC, said.student_embedding_BS, said.student_classifier_CS]
        for tensor in tensors:
            tensor.requires_grad_()
        value = loss(said)
        assert value.shape == (), f"a loss is a tensor without dimensions, got {list(value.shape)}"
        assert value.dtype == torch.float32, f"a loss is float32 here, got {value.dtype}"
        assert value.isfinite(), f"the loss is {value}"
        value.backward()
        gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
        assert gradients, "no gradient reaches the student"
        assert all(gradient.isfinite().all() for gradient in gradients), "a gradient is not finite"
        assert any(gradient.any() for gradient in gradients), "every gradient is 0"

    def test_it_takes_rows_whose_label_is_not_known(self, loss: Loss) -> None:
        """The labels of some, or all, rows of a batch are NaN."""
        said = _said()
        for unknown in (slice(0, 2), slice(None)):
            labels_BC = said.labels_BC.clone()
            labels_BC[unknown] = torch.nan
            value = loss(replace(said, labels_BC=labels_BC))
            assert value.isfinite(), f"the loss is {value} where labels are not known"

    def test_it_takes_mixtures_of_two_recordings(self, loss: Loss) -> None:
        """Labels of mixtures are between 0 and 1."""
        said = _said()
        mixed = replace(said, labels_BC=0.3 * said.labels_BC + 0.7 * said.labels_BC.flip(0))
        assert loss(mixed).isfinite()

    def test_it_stays_finite_where_both_are_certain(self, loss: Loss) -> None:
        """The probabilities of large logits are 0 or 1 in float32."""
        said = _said()
        certain = replace(
            said,
            student_logits_BC=said.student_logits_BC * 100,
            teacher_logits_BC=said.teacher_logits_BC * -100,
        )
        assert loss(certain).isfinite()

    def test_it_is_the_same_in_every_order_of_the_recordings(self, loss: Loss) -> None:
        """The order of a batch is random."""
        said, order = _said(), torch.arange(_N_ROWS).flip(0)
        turned = replace(
            said,
            student_logits_BC=said.student_logits_BC[order],
            student_embedding_BS=said.student_embedding_BS[order],
            teacher_logits_BC=said.teacher_logits_BC[order],
            teacher_embedding_BD=said.teacher_embedding_BD[order],
            labels_BC=said.labels_BC[order],
        )
        torch.testing.assert_close(loss(turned), loss(said), rtol=1e-4, atol=1e-5)

    def test_it_is_the_same_when_it_is_asked_again(self, loss: Loss) -> None:
        """Without random numbers and state, a repeated trial gives the same numbers."""
        assert torch.equal(loss(_said()), loss(_said()))


def _said() -> BothSay:
    """Return random outputs: `_N_ROWS` rows, 4 classes, embeddings of 5 and 7 dimensions."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return BothSay(
        student_logits_BC=normal(_N_ROWS, 4),
        student_embedding_BS=normal(_N_ROWS, 5),
        student_classifier_CS=normal(4, 5),
        teacher_logits_BC=normal(_N_ROWS, 4),
        teacher_embedding_BD=normal(_N_ROWS, 7),
        labels_BC=(torch.rand(_N_ROWS, 4, generator=generator) < 0.5).float(),
    )
