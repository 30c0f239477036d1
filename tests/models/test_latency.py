"""The clock of a network: which runs count, and in which mode."""

import time

import pytest
import torch
from torch import Tensor, nn

from mvkt_ray.models.latency import N_TIMED, N_UNTIMED, median_latency_ms
from mvkt_ray.models.networks import build_network


class Clock:
    """Stands in for a processor: each run takes as long as it is told to."""

    def __init__(self, durations_s: list[float]) -> None:
        self.now_s = 0.0
        self.durations_s = iter(durations_s)

    def read(self) -> float:
        return self.now_s


class Slow(nn.Module):
    """Notes what it is given, and lets time go by."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, signal_WLS: Tensor) -> None:
        assert not self.training
        assert torch.is_inference_mode_enabled()
        self.shapes.append(tuple(signal_WLS.shape))
        self.clock.now_s += next(self.clock.durations_s)


def test_the_median_of_the_timed_runs_counts_and_neither_warm_up_nor_outliers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timed = [0.002] * (N_TIMED - 10) + [5.0] * 10
    clock = Clock([9.0] * N_UNTIMED + timed)
    monkeypatch.setattr(time, "perf_counter", clock.read)
    network = Slow(clock)
    assert median_latency_ms(network, 7, 2, 250) == pytest.approx(2.0)
    assert network.shapes == [(7, 2, 250)] * (N_UNTIMED + N_TIMED)


def test_a_real_network_takes_some_time_and_is_not_changed() -> None:
    network = build_network("sepconv1d_tiny", 2, 5)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert median_latency_ms(network, 3, 2, 100) > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
