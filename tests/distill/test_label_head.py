"""A linear layer for labels that a student is not examined on."""

import pytest
import torch

from mvkt_ray.distill.label_head import LabelHead


def test_a_head_is_one_linear_layer_that_begins_near_one_half() -> None:
    head = LabelHead(9, 4, generator=torch.Generator().manual_seed(0))
    assert head.weight.shape == (4, 9)
    assert head.weight.abs().max() <= 1 / 3
    embedding_BS = torch.randn(5, 9)
    torch.testing.assert_close(head(embedding_BS), embedding_BS @ head.weight.T)


def test_a_head_is_drawn_from_its_generator_and_leaves_the_global_random_state() -> None:
    before = torch.get_rng_state()
    first, second = (
        LabelHead(6, 3, generator=torch.Generator().manual_seed(5)).weight for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_head_without_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="no finer classes"):
        LabelHead(6, 0, generator=torch.Generator())
