"""A student with what its view does before it: millivolts in, probabilities out.

Shapes: B batch, L leads, S samples, C classes.
"""

import torch
from torch import Tensor, nn

from mvkt_ray.models.network import Network


class MillivoltNetwork(nn.Module):
    """A network with what its view does before it and what evaluation does after it."""

    def __init__(self, network: Network, *, mean_mv: float, std_mv: float) -> None:
        super().__init__()
        self.network = network
        # As the loader scales: one product and one sum.
        self.scale, self.shift = 1.0 / std_mv, -mean_mv / std_mv

    def forward(self, signal_mv: Tensor) -> Tensor:
        """Return probabilities_BC of signal_BLS in mV."""
        logits_BC, _ = self.network(signal_mv * self.scale + self.shift)
        return torch.sigmoid(logits_BC)
