"""What a network costs and how far it sees: parameters, multiply-accumulates, receptive field."""

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from mvkt_ray.models.network import Network, TwoPaths

_POINTWISE = (nn.BatchNorm2d, nn.ReLU, nn.Dropout, nn.Identity)


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkFacts:
    """Size, work and sight of a network for one length of signal."""

    n_parameters: int
    n_multiply_accumulates: int
    """Of the convolutions and the classifier, for one signal."""
    receptive_field_samples: int
    """Input samples that one time step of the backbone depends on, far from the borders."""


def network_facts(network: Network, n_leads: int, n_samples: int) -> NetworkFacts:
    """Count parameters and work, and derive the receptive field from kernels and strides.

    Args:
        network: left as it was; it is run once on zeros, in evaluation mode.
        n_leads: leads of its input.
        n_samples: length of its input, which the work depends on.
    """
    return NetworkFacts(
        n_parameters=sum(parameter.numel() for parameter in network.parameters()),
        n_multiply_accumulates=_count_multiply_accumulates(network, n_leads, n_samples),
        receptive_field_samples=_walk(network.backbone, _Sight(1, 1)).extent,
    )


@dataclass(frozen=True, slots=True)
class _Sight:
    """Input samples that one step sees, and input samples between two steps."""

    extent: int
    stride: int

    def through(self, kernel_size: int, stride: int) -> "_Sight":
        return _Sight(self.extent + (kernel_size - 1) * self.stride, self.stride * stride)


def _walk(module: nn.Module, sight: _Sight) -> _Sight:
    if isinstance(module, nn.Sequential):
        for layer in module:
            sight = _walk(layer, sight)
        return sight
    if isinstance(module, TwoPaths):
        paths = [_walk(module.residual, sight), _walk(module.shortcut, sight)]
        return max(paths, key=lambda path: path.extent)
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return sight.through(_over_time(module.kernel_size), _over_time(module.stride))
    if isinstance(module, _POINTWISE):
        return sight
    raise TypeError(
        f"The receptive field of a {type(module).__name__} is not known: teach it to "
        "mvkt_ray/models/facts.py."
    )


def _over_time(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[-1]


def _count_multiply_accumulates(network: Network, n_leads: int, n_samples: int) -> int:
    counts: list[int] = []

    def count(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d | nn.Linear)
        # Each entry of the output takes one multiplication per weight of its filter.
        counts.append(output.numel() * prod(module.weight.shape[1:]))

    hooks = [
        module.register_forward_hook(count)
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    was_training = network.training
    first = next(network.parameters())
    try:
        with torch.no_grad():
            network.eval()(
                torch.zeros(1, n_leads, n_samples, device=first.device, dtype=first.dtype)
            )
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    return sum(counts)
