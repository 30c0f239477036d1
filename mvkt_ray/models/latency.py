"""How long a network takes on this processor: a measurement, which another run repeats roughly.

Shapes: W windows, L leads, S samples.
"""

import statistics
import time

import torch
from torch import nn

N_UNTIMED = 5
"""Runs before the first that counts: torch chooses kernels and memory in them."""

N_TIMED = 30
"""A median over so many is hardly moved by the few runs that another process gets in the way of."""


def median_latency_ms(network: nn.Module, n_windows: int, n_leads: int, n_samples: int) -> float:
    """Time a network in evaluation mode on zeros, with the threads that torch has now.

    Args:
        network: on the CPU, in float32; left in evaluation mode.
        n_windows: that are computed together.
        n_leads: of each.
        n_samples: of each.

    Returns:
        Milliseconds for all windows together.
    """
    # Zeros: the time of these layers does not depend on the values, denormal numbers aside.
    signal_WLS = torch.zeros(n_windows, n_leads, n_samples)
    network.eval()
    durations_s: list[float] = []
    with torch.inference_mode():
        for _ in range(N_UNTIMED + N_TIMED):
            started = time.perf_counter()
            network(signal_WLS)
            durations_s.append(time.perf_counter() - started)
    return 1000 * statistics.median(durations_s[N_UNTIMED:])
