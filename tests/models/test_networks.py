"""Every network of the table: sizes as published, shapes, gradients, repeatable weights."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.errors import ConfigError
from mvkt_ray.models.facts import NetworkFacts, network_facts
from mvkt_ray.models.network import Network
from mvkt_ray.models.network_table import NETWORKS
from mvkt_ray.models.networks import build_network, facts_of_unbuilt
from mvkt_ray.models.xresnet1d import XResBlock
from mvkt_ray.testing import NetworkContract

N_PARAMETERS_12_LEADS_5_CLASSES = {
    "xresnet1d18": 347_909,
    "xresnet1d34": 677_637,
    "xresnet1d50": 888_965,
    "xresnet1d101": 1_807_237,
    "xresnet1d18_wide": 3_868_357,
    "xresnet1d34_wide": 7_242_693,
    "xresnet1d50_wide": 15_994_053,
    "xresnet1d101_wide": 28_301_509,
    "resnet1d_wang": 440_325,
    "sepconv1d_small": 94_085,
    "sepconv1d_tiny": 10_805,
    "sepconv1d": 94_085,
}
SUM_OF_WEIGHTS_SEED_0 = {"sepconv1d_small": 1047.7966, "sepconv1d_tiny": 286.7917}
DEEP = ("xresnet1d34", "xresnet1d50", "xresnet1d101")
LIGHT = tuple(name for name in NETWORKS if "wide" not in name and name not in DEEP)


def _n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_network_has_its_parameter_count_in_this_test():
    assert set(N_PARAMETERS_12_LEADS_5_CLASSES) == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_its_number_of_parameters(name: str):
    network = build_network(name, n_leads=12, n_classes=5)
    assert _n_parameters(network) == N_PARAMETERS_12_LEADS_5_CLASSES[name]


@pytest.mark.parametrize(
    ("name", "millions_12_leads", "millions_1_lead"),
    [
        ("xresnet1d18_wide", 3.868, 3.867),
        ("xresnet1d34_wide", 7.243, 7.242),
        ("xresnet1d50_wide", 15.994, 15.993),
        ("xresnet1d101_wide", 28.302, 28.300),
    ],
)
def test_the_wide_networks_are_as_large_as_the_authors(
    name: str, millions_12_leads: float, millions_1_lead: float
):
    for n_leads, millions in ((12, millions_12_leads), (1, millions_1_lead)):
        counted = _n_parameters(build_network(name, n_leads, 5)) / 1e6
        assert counted == pytest.approx(millions, abs=0.0006)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("xresnet1d18", 0.365),
        ("xresnet1d34", 0.695),
        ("xresnet1d50", 0.954),
        ("xresnet1d101", 1.872),
    ],
)
def test_the_thin_networks_are_as_large_as_the_benchmarks_with_its_head(name: str, millions: float):
    network = build_network(name, n_leads=12, n_classes=5)
    dim = network.embedding_dim
    # create_head1d of the benchmark: norm, linear to 128, norm, linear to the classes.
    benchmark_head = 2 * dim + (dim * 128 + 128) + 2 * 128 + (128 * 5 + 5)
    counted = _n_parameters(network.backbone) + benchmark_head
    assert counted / 1e6 == pytest.approx(millions, abs=0.0006)


@pytest.mark.parametrize("name", ["sepconv1d_small", "sepconv1d_tiny"])
def test_device_students_stay_below_100000_parameters(name: str):
    assert _n_parameters(build_network(name, n_leads=12, n_classes=9)) <= 100_000


class TestNetworks(NetworkContract):
    @pytest.fixture(params=LIGHT)
    def network_name(self, request: pytest.FixtureRequest) -> str:
        return request.param


@pytest.mark.parametrize("name", LIGHT)
def test_the_embedding_is_mean_and_maximum_of_every_channel(name: str):
    network = build_network(name, n_leads=2, n_classes=3).eval()
    assert network.embedding_dim == 2 * network.backbone(torch.randn(4, 2, 97)).shape[1]


def test_a_residual_block_starts_as_its_shortcut():
    block = XResBlock(8, 8, expansion=1, stride=1, kernel_size=5)
    features_BF1T = torch.randn(2, 8, 1, 20)
    torch.testing.assert_close(block(features_BF1T), features_BF1T.relu())


def test_dropout_acts_in_training_only_and_not_on_the_embedding():
    torch.manual_seed(0)
    network = build_network("sepconv1d_tiny", 1, 2, dropout=0.5)
    signal_BLS = torch.randn(8, 1, 100)
    first_BC, first_BD = network(signal_BLS)
    second_BC, second_BD = network(signal_BLS)
    assert not torch.equal(first_BC, second_BC)
    assert torch.equal(first_BD, second_BD)
    network.eval()
    assert torch.equal(network(signal_BLS)[0], network(signal_BLS)[0])


def test_a_misspelled_network_is_answered_with_the_names_there_are():
    with pytest.raises(ConfigError, match=r"'xresnet18'.*xresnet1d18"):
        build_network("xresnet18", 1, 5)


@pytest.mark.parametrize("name", [*LIGHT, "xresnet1d50"])
@pytest.mark.parametrize("n_samples", [250, 97])
def test_multiply_accumulates_are_half_of_what_torchs_flop_counter_counts(
    name: str, n_samples: int
):
    network = build_network(name, n_leads=1, n_classes=5).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, n_samples))
    facts = network_facts(network, n_samples, 1)
    assert 2 * facts.n_multiply_accumulates == counter.get_total_flops()


sizes = st.tuples(st.integers(1, 24), st.integers(0, 3))


@given(sizes, st.integers(1, 3), st.integers(1, 6), st.integers(16, 300))
@settings(max_examples=25)
def test_an_unbuilt_network_has_the_facts_of_the_built_one_and_draws_nothing(
    size: tuple[int, int], n_leads: int, n_classes: int, n_samples: int
):
    width, depth = size
    random = torch.get_rng_state()
    facts = facts_of_unbuilt("sepconv1d", n_leads, n_classes, n_samples, width=width, depth=depth)
    assert torch.equal(torch.get_rng_state(), random)
    network = build_network("sepconv1d", n_leads, n_classes, width=width, depth=depth).eval()
    assert facts.n_parameters == _n_parameters(network)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, n_leads, n_samples))
    assert 2 * facts.n_multiply_accumulates == counter.get_total_flops()


@given(sizes, st.integers(1, 8), st.integers(1, 2))
@settings(max_examples=25)
def test_wider_is_larger_and_so_is_deeper(size: tuple[int, int], wider: int, deeper: int):
    def facts(width: int, depth: int) -> NetworkFacts:
        return facts_of_unbuilt("sepconv1d", 1, 5, 250, width=width, depth=depth)

    width, depth = size
    for larger in (facts(width + wider, depth), facts(width, depth + deeper)):
        assert larger.n_parameters > facts(width, depth).n_parameters
        assert larger.n_multiply_accumulates > facts(width, depth).n_multiply_accumulates


def test_without_a_choice_the_free_size_is_sepconv1d_small_weight_by_weight():
    def weights(name: str) -> dict[str, torch.Tensor]:
        torch.manual_seed(5)
        return build_network(name, 1, 2).state_dict()

    free, small = weights("sepconv1d"), weights("sepconv1d_small")
    assert list(free) == list(small)
    assert all(torch.equal(free[key], small[key]) for key in small)
    defaults = Hyperparameters()
    torch.manual_seed(5)
    chosen = build_network(
        "sepconv1d", 1, 2, width=defaults.student_width, depth=defaults.student_depth
    )
    assert all(torch.equal(chosen.state_dict()[key], small[key]) for key in small)


@pytest.mark.parametrize("name", [name for name in NETWORKS if not NETWORKS[name].parameters])
def test_a_network_of_one_size_leaves_width_and_depth_aside(name: str):
    facts = [
        facts_of_unbuilt(name, 1, 5, 250, width=width, depth=depth)
        for width, depth in ((8, 0), (64, 4))
    ]
    assert facts[0] == facts[1]


def test_weights_of_the_device_students_are_those_they_always_had():
    # Sums of weights as of the first version of these networks: studies go on with them.
    for name, total in SUM_OF_WEIGHTS_SEED_0.items():
        torch.manual_seed(0)
        network = build_network(name, 1, 5)
        counted = sum(float(weight.detach().double().sum()) for weight in network.parameters())
        assert counted == pytest.approx(total, abs=1e-4)


@pytest.mark.parametrize("name", [*LIGHT, "xresnet1d50", "xresnet1d18_wide"])
def test_the_receptive_field_is_what_a_gradient_reaches(name: str):
    network = build_network(name, n_leads=1, n_classes=1)
    assert network_facts(network, 64, 1).receptive_field_samples == _measured_sight(network)


def _measured_sight(network: Network) -> int:
    """Length of the input stretch that one step in the middle of the backbone depends on."""
    backbone = copy.deepcopy(network.backbone).double().eval()
    for module in list(backbone.modules()):
        if isinstance(module, nn.Conv2d):
            # Positive weights: nothing cancels and every ReLU is open.
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                # A maximum shows one of its inputs only; the mean of the same window shows all.
                mean = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(module, name, mean)
    signal_BLS = torch.ones(1, 1, 4096, dtype=torch.float64, requires_grad=True)
    features_BFT = backbone(signal_BLS)
    features_BFT[0, :, features_BFT.shape[-1] // 2].sum().backward()
    assert signal_BLS.grad is not None
    reached = signal_BLS.grad[0, 0].nonzero()
    return int(reached.max() - reached.min()) + 1
