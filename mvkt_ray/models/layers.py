"""The layers that networks are made of: one-dimensional, in the layout that processors are fast in.

torch has the layout "channels last" (all channels of a time step beside each other) for images
only. So a signal is an image of height 1 here: the layers are torch's own for images, with kernels
of height 1, and compute what those for sequences do. On CPUs, convolutions then run near the peak
of a matrix product, and pooling and normalisation run over contiguous channels; see
`benchmarks/arithmetic.py`. On GPUs the layout is left as it is.

Shapes: B batch, L leads, S samples, F channels, T time steps; `BF1T` is an image of height 1.
"""

import torch
from torch import Tensor, nn


def as_image(signal_BLS: Tensor) -> Tensor:
    """Return a signal as `signal_BL1S`, channels last unless it is on a GPU."""
    signal_BL1S = signal_BLS.unsqueeze(2)
    if signal_BLS.is_cuda:
        return signal_BL1S
    # `contiguous(memory_format=...)` leaves the strides of a single lead as they are, by which the
    # first convolution would take the whole network for channels first.
    return torch.empty_like(signal_BL1S, memory_format=torch.channels_last).copy_(signal_BL1S)


def convolution(
    n_in: int, n_out: int, kernel_size: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """Build a convolution over time that keeps the length but for its stride, without bias.

    Args:
        n_in: channels that come in.
        n_out: channels that go out.
        kernel_size: in time steps, odd.
        stride: in time steps.
        groups: as torch's; `n_in` filters every channel on its own.

    Returns:
        The layer, from and to `BF1T`; its weights are He normal.
    """
    kind = nn.Conv2d if groups == 1 else GroupedConvolution
    conv = kind(
        n_in,
        n_out,
        (1, kernel_size),
        (1, stride),
        (0, kernel_size // 2),
        groups=groups,
        bias=False,
    )
    nn.init.kaiming_normal_(conv.weight)
    return conv


class GroupedConvolution(nn.Conv2d):
    """A convolution in groups, which CPUs compute in float32 under autocast, too.

    oneDNN has no fast kernels for its gradients in bf16: where every channel is filtered on its
    own, those of the weights take about three times as long as in float32, and those of the input,
    with a stride, up to thirty times. What goes out is in the precision of autocast all the same.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Filter features_BF1T, in channels and steps as torch's own layer does."""
        device = input.device.type
        if device != "cpu" or not torch.is_autocast_enabled(device):
            return super().forward(input)
        with torch.autocast(device, enabled=False):
            filtered = super().forward(input.float())
        return filtered.to(torch.get_autocast_dtype(device))


def max_pool(kernel_size: int, *, stride: int) -> nn.MaxPool2d:
    """Build a maximum over time steps, padded so that no step is left out."""
    return nn.MaxPool2d((1, kernel_size), (1, stride), (0, kernel_size // 2))


def average_pool(length: int) -> nn.AvgPool2d:
    """Build a mean over every `length` time steps; a shorter rest at the end has a mean, too."""
    return nn.AvgPool2d((1, length), (1, length), ceil_mode=True)


def expect_channels_last(module: nn.Module) -> None:
    """Give kernels that are in both layouts at once the strides that their gradients will have.

    Nothing moves in memory. A kernel of one channel, or of one time step, is contiguous in either
    layout and only its strides say which one is meant; DistributedDataParallel compares them.
    """
    layout = torch.channels_last
    for weight in module.parameters():
        if weight.dim() == 4 and weight.is_contiguous(memory_format=layout):
            strides = torch.empty_like(weight, memory_format=layout).stride()
            weight.data = weight.data.as_strided(weight.shape, strides)
