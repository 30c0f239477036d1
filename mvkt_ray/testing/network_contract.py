"""The contract suite of networks, for built-ins and plug-ins.

Shapes: B batch, L leads, S samples, C classes, D embedding.
"""

import pytest
import safetensors.torch
import torch
from torch import Tensor

from mvkt_ray.models.facts import network_facts
from mvkt_ray.models.layers import expect_channels_last
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import build_network, facts_of_unbuilt
from mvkt_ray.models.small import BLOCKS_PER_STAGE, FIRST_WIDTH
from mvkt_ray.models.sync_batch_norm import sync_batch_norm


class NetworkContract:
    """Contract of a network; subclass it, and override `network_name`.

    class TestTwoLayers(NetworkContract):
        @pytest.fixture
        def network_name(self):
            return "two_layers"
    """

    lengths = (250, 97)
    """Window lengths in samples to test."""

    @pytest.fixture
    def network_name(self) -> str:
        """Return the name of the network in study files."""
        raise NotImplementedError("override the fixture network_name")

    def test_it_returns_logits_and_the_embedding_that_its_classifier_reads(
        self, network_name: str
    ) -> None:
        """Both outputs have their shapes for one lead and several, and for every length."""
        for n_leads in (1, 12):
            network = _network(network_name, n_leads)
            for n_samples in self.lengths:
                logits_BC, embedding_BD = network(_signal(n_leads, n_samples))
                assert logits_BC.shape == (4, 3), logits_BC.shape
                assert embedding_BD.shape == (4, network.embedding_dim), embedding_BD.shape
                torch.testing.assert_close(network.classifier(embedding_BD), logits_BC)
                assert logits_BC.isfinite().all(), "logits are not finite"

    def test_every_weight_gets_a_finite_gradient(self, network_name: str) -> None:
        """A weight without a gradient is not trained, and blocks training on several workers."""
        network = _network(network_name).train()
        logits_BC, _ = network(_signal(1, min(self.lengths)))
        logits_BC.square().sum().backward()
        for name, weight in network.named_parameters():
            assert weight.grad is not None, f"{name} has no gradient"
            assert weight.grad.isfinite().all(), f"the gradient of {name} is not finite"

    def test_the_same_seed_gives_the_same_weights_and_another_one_others(
        self, network_name: str
    ) -> None:
        """All random numbers come from torch's global random state."""
        first, again, other = (_flat(_network(network_name, seed=seed)) for seed in (3, 3, 4))
        assert torch.equal(first, again), "weights differ under the same seed"
        assert not torch.equal(first, other), "weights are the same under every seed"

    def test_what_it_says_of_a_recording_depends_on_that_recording_alone(
        self, network_name: str
    ) -> None:
        """In evaluation mode neither random numbers nor the rest of the batch matter."""
        network = _network(network_name).eval()
        signal_BLS = _signal(1, min(self.lengths))
        with torch.no_grad():
            together, again = network(signal_BLS)[0], network(signal_BLS)[0]
            alone = torch.cat([network(signal_BLS[n : n + 1])[0] for n in range(4)])
        assert torch.equal(together, again), "it says another thing the second time"
        torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)

    def test_an_unbuilt_network_has_the_facts_of_the_built_one_and_draws_nothing(
        self, network_name: str
    ) -> None:
        """A search counts parameters and operations of many students that it never builds."""
        n_samples = min(self.lengths)
        random = torch.get_rng_state()
        counted = facts_of_unbuilt(
            network_name, 1, 3, n_samples, width=FIRST_WIDTH, depth=BLOCKS_PER_STAGE
        )
        assert torch.equal(torch.get_rng_state(), random), "counting draws random numbers"
        assert counted == network_facts(_network(network_name), n_samples, 1)
        assert counted.n_parameters == len(_flat(_network(network_name)))
        assert counted.n_multiply_accumulates > 0

    def test_its_weights_come_back_from_a_file_as_they_were(self, network_name: str) -> None:
        """Weights are stored as safetensors, which executes no code, and holds no tensor twice."""
        network, other = (_network(network_name, seed=seed).eval() for seed in (0, 1))
        state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
        other.load_state_dict(safetensors.torch.load(safetensors.torch.save(state)))
        signal_BLS = _signal(1, min(self.lengths))
        assert torch.equal(network(signal_BLS)[0], other(signal_BLS)[0])

    def test_it_trains_over_several_workers_and_in_half_precision(self, network_name: str) -> None:
        """Batch normalisation must be of a class that can be synchronised over workers."""
        network = sync_batch_norm(_network(network_name).train())
        expect_channels_last(network)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits_BC, _ = network(_signal(1, min(self.lengths)))
        assert logits_BC.isfinite().all(), "logits are not finite in bf16"


def _network(name: str, n_leads: int = 1, *, seed: int = 0) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_network(name, n_leads, 3)


def _signal(n_leads: int, n_samples: int) -> Tensor:
    generator = torch.Generator().manual_seed(n_leads)
    return torch.randn(4, n_leads, n_samples, generator=generator)


def _flat(network: Network) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])
