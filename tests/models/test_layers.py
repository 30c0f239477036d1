"""Convolutions in groups: torch's own in float32, and no worse under autocast."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mvkt_ray.models.layers import as_image, convolution

shapes = st.tuples(
    st.integers(1, 5),  # signals
    st.integers(2, 20),  # channels
    st.integers(1, 40),  # time steps
    st.sampled_from([1, 3, 9]),  # kernel size
    st.integers(1, 2),  # stride
)


def layer_and_input(shape: tuple[int, ...]) -> tuple[nn.Conv2d, Tensor]:
    """Return a depthwise convolution and what goes into it; all numbers are exact in bf16."""
    n_signals, n_channels, n_steps, kernel_size, stride = shape
    torch.manual_seed(0)
    layer = convolution(n_channels, n_channels, kernel_size, stride=stride, groups=n_channels)
    layer.weight.data = layer.weight.data.bfloat16().float()
    return layer, as_image(torch.randn(n_signals, n_channels, n_steps).bfloat16().float())


def computed(layer: nn.Conv2d, input_BF1T: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what comes out, and the gradients of input and weights for one that is exact."""
    input_BF1T = input_BF1T.clone().requires_grad_()
    filtered = layer(input_BF1T)
    gradient = torch.linspace(-1, 1, filtered.numel()).bfloat16().to(filtered.dtype)
    of_input, of_weight = torch.autograd.grad(
        filtered, (input_BF1T, layer.weight), gradient.view_as(filtered)
    )
    return filtered.detach(), of_input, of_weight


def by_torch(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the same layer as torch's own class."""
    other = copy.deepcopy(layer)
    other.__class__ = nn.Conv2d
    return other


@given(shapes, st.sampled_from([torch.float32, torch.float64]))
def test_without_autocast_all_bits_are_torchs(shape: tuple[int, ...], dtype: torch.dtype):
    layer, input_BF1T = layer_and_input(shape)
    layer, input_BF1T = layer.to(dtype), input_BF1T.to(dtype)
    for ours, torchs in zip(
        computed(layer, input_BF1T), computed(by_torch(layer), input_BF1T), strict=True
    ):
        assert torch.equal(ours, torchs)


@given(shapes)
def test_under_autocast_only_what_is_handed_on_is_rounded(shape: tuple[int, ...]):
    layer, input_BF1T = layer_and_input(shape)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        filtered, of_input, of_weight = computed(layer, input_BF1T)
    assert filtered.dtype == torch.bfloat16
    exact = computed(by_torch(layer).double(), input_BF1T.double())
    torch.testing.assert_close(filtered.double(), exact[0], rtol=2**-8, atol=1e-5)
    torch.testing.assert_close(of_input.double(), exact[1], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(of_weight.double(), exact[2], rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("used", [1, 2])
def test_a_layer_that_is_used_twice_gets_the_sum_of_both_gradients(used: int):
    layer, input_BF1T = layer_and_input((3, 4, 17, 9, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, _, once = computed(layer, input_BF1T)
        filtered = sum(layer(input_BF1T) for _ in range(used))
    assert isinstance(filtered, Tensor)
    gradient = torch.linspace(-1, 1, filtered.numel()).bfloat16().view_as(filtered)
    (together,) = torch.autograd.grad(filtered, layer.weight, gradient)
    torch.testing.assert_close(together, used * once)


def test_without_gradients_the_same_comes_out_and_the_layout_stays():
    layer, input_BF1T = layer_and_input((3, 4, 17, 9, 2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.no_grad():
            alone = layer(input_BF1T)
        assert torch.equal(alone, layer(input_BF1T))
    assert alone.is_contiguous(memory_format=torch.channels_last)


def test_groups_change_neither_the_name_of_the_weights_nor_how_they_are_drawn():
    torch.manual_seed(3)
    layer = convolution(6, 6, 9, groups=6)
    torch.manual_seed(3)
    plain = nn.Conv2d(6, 6, (1, 9), groups=6, bias=False)
    nn.init.kaiming_normal_(plain.weight)
    assert list(layer.state_dict()) == ["weight"]
    assert torch.equal(layer.weight, plain.weight)
