"""An exponential moving average of a network's weights: a second network, steadier than the first.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control and
Optimization 30 (1992); as a teacher of its own student: Tarvainen and Valpola, "Mean teachers are
better role models", NeurIPS 2017, arXiv 1703.01780.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """The network whose weights are the average of another's after each of its steps.

    After step n, from 1, the average keeps a share of itself, and takes the rest of what is new:

        share = min(decay, n / (n + 9))

    The share rises from a tenth, so that a short training is not averaged with its random start (as
    TensorFlow's ExponentialMovingAverage does with `num_updates`). Running statistics of batch
    normalisation are averaged like the weights that they belong to, counts are taken over.

    It draws nothing and needs no gradients; on several ranks every rank averages for itself, and
    has the same bits, as weights and statistics are the same on all of them.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the network as it is, where it is; it is not changed.

        Args:
            network: on its device, as it is trained.
            decay: the highest share that is kept, in (0, 1).
        """
        self.network = deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        self.n_steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in what a step made of the weights; called once after each."""
        self.n_steps += 1
        share = min(self.decay, self.n_steps / (self.n_steps + 9))
        mine, theirs = _tensors(self.network), _tensors(network)
        numbers = [pair for pair in zip(mine, theirs, strict=True) if pair[0].is_floating_point()]
        averaged, new = (list(side) for side in zip(*numbers, strict=True))
        # All tensors in a few fused calls, not one call for each of some hundred.
        get_ema_multi_avg_fn(share)(averaged, new, self.n_steps)
        for own, other in zip(mine, theirs, strict=True):
            if not own.is_floating_point():
                own.copy_(other)

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` goes on from, with the same bits."""
        return {"n_steps": self.n_steps, "network": self.network.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.n_steps = state["n_steps"]
        self.network.load_state_dict(state["network"])


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
