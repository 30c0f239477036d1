"""A student with input scaling and sigmoid: millivolts in, probabilities out.

Shapes: B batch, L leads, S samples, C classes.
"""

import torch
from torch import Tensor, nn

from mvkt_ray.models.network import Network


class MillivoltNetwork(nn.Module):
    """A network with the scaling of its view before it, and the sigmoid of evaluation after it."""

    def __init__(self, network: Network, *, mean_mv: float, std_mv: float) -> None:
        super().__init__()
        self.network = network
        # The same arithmetic as in the loader, one product and one sum, for equal rounding.
        self.scale, self.shift = 1.0 / std_mv, -mean_mv / std_mv

    def forward(self, signal_mv: Tensor) -> Tensor:
        """Return probabilities `[B, C]` of signals `[B, L, S]` in mV."""
        logits_BC, _ = self.network(signal_mv * self.scale + self.shift)
        return torch.sigmoid(logits_BC)
