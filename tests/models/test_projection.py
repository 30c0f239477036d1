"""The contrastive head."""

import torch

from mvkt_ray.models.projection import ProjectionHead


def test_projections_have_unit_length():
    head = ProjectionHead(6, 4)
    length_B = head(torch.randn(10, 6)).norm(dim=1)
    torch.testing.assert_close(length_B, torch.ones(10))


def test_a_head_is_drawn_from_its_generator_and_leaves_the_global_random_state():
    before = torch.get_rng_state()
    first = ProjectionHead(6, 4, generator=torch.Generator().manual_seed(5))
    second = ProjectionHead(6, 4, generator=torch.Generator().manual_seed(5))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.weight.abs().max() <= 6**-0.5
