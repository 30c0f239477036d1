"""What a network costs and how far it sees: parameters, multiply-accumulates, receptive field.

All of it follows from kernels, strides and channels, so no network of ours is run for it. One that
has other layers, as a plug-in's may, is run once on the device `meta`, where nothing is computed.
"""

import copy
from dataclasses import dataclass, replace
from math import ceil, floor, prod

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mvkt_ray.models.network import Network, TwoPaths

_POINTWISE = (nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Identity)


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkFacts:
    """Size, work and sight of a network for one length of signal."""

    n_parameters: int
    n_multiply_accumulates: int
    """Of the convolutions and the classifier, for one signal; of layers that are not ours, of all
    matrix products."""
    receptive_field_samples: int | None
    """Input samples that one time step of the backbone depends on, far from the borders; None:
    its layers do not tell."""


def network_facts(network: Network, n_samples: int, n_leads: int) -> NetworkFacts:
    """Count parameters and work, and derive the receptive field from kernels and strides.

    Args:
        network: not run; its weights may be on the device `meta`.
        n_samples: length of its input, which the work depends on.
        n_leads: of its input.
    """
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    start = _Passage(n_steps=n_samples, n_multiply_accumulates=0, extent=1, stride=1)
    try:
        passage = _walk(network.backbone, start)
    except _UnknownLayerError:
        return NetworkFacts(
            n_parameters=n_parameters,
            n_multiply_accumulates=_counted(network, n_samples, n_leads),
            receptive_field_samples=None,
        )
    return NetworkFacts(
        n_parameters=n_parameters,
        n_multiply_accumulates=(passage.n_multiply_accumulates + network.classifier.weight.numel()),
        receptive_field_samples=passage.extent,
    )


def _counted(network: Network, n_samples: int, n_leads: int) -> int:
    """Count the work of any network as torch does, half of its floating point operations."""
    shadow = copy.deepcopy(network).to("meta").eval()
    # What a network makes on its way, such as positions in time, is made there, too.
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        shadow(torch.empty(1, n_leads, n_samples))
    # torch counts a multiplication and an addition for each.
    return counter.get_total_flops() // 2


class _UnknownLayerError(Exception):
    """A layer whose kernel and stride are not where those of ours are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Passage:
    """Length of a signal, and the operations so far, after some layers of the backbone."""

    n_steps: int
    n_multiply_accumulates: int
    """So far."""
    extent: int
    """Input samples that one step sees."""
    stride: int
    """Input samples between two steps."""

    def through(self, layer: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) -> "_Passage":
        kernel_size, stride = _over_time(layer.kernel_size), _over_time(layer.stride)
        n_beyond_first = self.n_steps + 2 * _over_time(layer.padding) - kernel_size
        keeps_rest = isinstance(layer, nn.AvgPool2d) and layer.ceil_mode
        n_steps = 1 + (ceil if keeps_rest else floor)(n_beyond_first / stride)
        # Each entry of the output takes one multiplication per weight of its filter.
        n_per_step = prod(layer.weight.shape) if isinstance(layer, nn.Conv2d) else 0
        return _Passage(
            n_steps=n_steps,
            n_multiply_accumulates=self.n_multiply_accumulates + n_steps * n_per_step,
            extent=self.extent + (kernel_size - 1) * self.stride,
            stride=self.stride * stride,
        )


def _walk(module: nn.Module, passage: _Passage) -> _Passage:
    if isinstance(module, nn.Sequential):
        for layer in module:
            passage = _walk(layer, passage)
        return passage
    if isinstance(module, TwoPaths):
        residual = _walk(module.residual, passage)
        # What the other path costs comes on top of what this one does.
        before = replace(passage, n_multiply_accumulates=residual.n_multiply_accumulates)
        shortcut = _walk(module.shortcut, before)
        return replace(shortcut, extent=max(residual.extent, shortcut.extent))
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return passage.through(module)
    if isinstance(module, _POINTWISE):
        return passage
    raise _UnknownLayerError(type(module).__name__)


def _over_time(value: int | str | tuple[int, ...]) -> int:
    assert not isinstance(value, str)
    return value if isinstance(value, int) else value[-1]
