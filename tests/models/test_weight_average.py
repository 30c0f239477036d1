"""The average of weights: by hand, beside a float64 loop, and what it leaves alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mvkt_ray.models.networks import build_network
from mvkt_ray.models.weight_average import WeightAverage


def _number(value: float) -> nn.Module:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, value)
    return module


def _weight(module: nn.Module) -> float:
    return next(module.parameters()).item()


def test_two_steps_by_hand() -> None:
    network = _number(1.0)
    average = WeightAverage(network, 0.15)
    nn.init.constant_(next(network.parameters()), 2.0)
    average.update(network)
    assert _weight(average.network) == pytest.approx(0.1 * 1 + 0.9 * 2)
    nn.init.constant_(next(network.parameters()), 4.0)
    average.update(network)
    assert _weight(average.network) == pytest.approx(0.15 * 1.9 + 0.85 * 4)


@settings(max_examples=30)
@given(
    values=st.lists(st.floats(-5, 5), min_size=1, max_size=40),
    decay=st.sampled_from([0.5, 0.9, 0.999]),
)
def test_it_is_the_average_of_a_loop_and_never_outside_of_what_it_saw(
    values: list[float], decay: float
) -> None:
    network = _number(values[0])
    average, expected = WeightAverage(network, decay), np.float64(values[0])
    for n, value in enumerate(values, start=1):
        nn.init.constant_(next(network.parameters()), value)
        average.update(network)
        share = min(decay, n / (n + 9))
        expected = share * expected + (1 - share) * value
    assert _weight(average.network) == pytest.approx(expected, abs=1e-4)
    assert min(values) - 1e-4 <= _weight(average.network) <= max(values) + 1e-4


def test_statistics_of_batch_normalisation_are_averaged_and_counts_taken_over() -> None:
    network = build_network("sepconv1d_tiny", 1, 2).train()
    average = WeightAverage(network, 0.9)
    means = {name: value.clone() for name, value in network.state_dict().items() if "mean" in name}
    network(torch.randn(8, 1, 64) + 3)
    average.update(network)
    found = average.network.state_dict()
    for name, value in network.state_dict().items():
        if name in means:
            torch.testing.assert_close(found[name], 0.1 * means[name] + 0.9 * value)
        if "num_batches" in name:
            assert found[name].item() == 1


def test_the_network_and_the_random_state_are_left_alone() -> None:
    network = build_network("sepconv1d_tiny", 1, 2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    random_state = torch.get_rng_state()
    average = WeightAverage(network, 0.9)
    average.update(network)
    assert network.training
    assert not average.network.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert not any(weight.requires_grad for weight in average.network.parameters())
    assert torch.equal(random_state, torch.get_rng_state())
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_loaded_average_goes_on_with_the_same_bits() -> None:
    network = _number(0.3)
    straight, resumed = WeightAverage(network, 0.99), WeightAverage(_number(7.0), 0.99)
    for step in range(6):
        nn.init.constant_(next(network.parameters()), 0.1 * step)
        if step == 3:
            resumed.load_state_dict(straight.state_dict())
        straight.update(network)
        if step >= 3:
            resumed.update(network)
    assert _weight(straight.network) == _weight(resumed.network)
