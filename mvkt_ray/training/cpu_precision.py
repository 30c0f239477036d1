"""The choice of `precision: auto` on CPUs: bf16 if the processor has it and it is faster.

Dense convolutions are faster in bf16, separable ones slower. So both precisions are measured once
per study, and the choice is stored with the study, so that its numbers do not change on another
machine.
"""

import logging
import time
from collections.abc import Iterable, Mapping

import torch
from torch.nn import functional

from mvkt_ray.errors import ArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import MeasuredPrecision
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.sealed import sealed_json, unsealed_json
from mvkt_ray.training.learner import run_network
from mvkt_ray.training.process import seeded

_LOG = logging.getLogger(__name__)

LEAST_GAIN = 1.15
"""Least speed-up for the choice of bf16; a smaller one is within the noise of the measurement."""

_BATCH_SIZE = 32
_LEAST_ROUNDS, _MOST_ROUNDS, _ROUNDS_S = 2, 5, 2.0
"""Rounds of steps in both precisions: as many as fit into these seconds, within the bounds."""


def has_bf16() -> bool:
    """Return whether the processor multiplies bf16 numbers: AMX, or AVX-512 with BF16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def measure_precisions(
    networks: Iterable[str], *, n_leads: int, n_samples: int
) -> dict[str, MeasuredPrecision]:
    """Choose the precision of networks on this machine's processor.

    Args:
        networks: Names of the table `NETWORKS`. A network with variable width and depth is
            measured at its default size, and all its sizes use that choice.
        n_leads: Number of leads.
        n_samples: Length of a crop, in samples.

    Returns:
        Choices and times by name.
    """
    if not has_bf16():
        return {name: MeasuredPrecision(chosen="float32") for name in networks}
    return {name: _measure(name, n_leads, n_samples) for name in networks}


def settled_precision(
    file: Location, network: str, *, n_leads: int, n_samples: int
) -> MeasuredPrecision:
    """Choose the precision of one network, or return the choice that a file has from its start.

    Args:
        file: Written before the training begins; read by its resumption.
        network: Name of the table `NETWORKS`.
        n_leads: Number of leads.
        n_samples: Length of a crop, in samples.

    Raises:
        ArtifactError: The file cannot be read.
    """
    if file.exists():
        with reading(file, "Remove its folder to train from the start.", ArtifactError):
            return MeasuredPrecision.from_json(unsealed_json(file.read_bytes()))
    measured = measure_precisions([network], n_leads=n_leads, n_samples=n_samples)[network]
    file.parent.make_directory()
    file.write_bytes(sealed_json(measured.to_json()))
    return measured


def computes_in_bf16(
    asked: str, device: torch.device, network: str, on_cpu: Mapping[str, str]
) -> bool:
    """Return whether a network runs under bf16 autocast.

    Args:
        asked: `auto`, `float32` or `bf16`; `auto` is bf16 on GPUs that have it.
        device: Device of the network.
        network: Name of the network.
        on_cpu: Resolved `auto` on CPUs by name of the network; `float32` for any other.
    """
    if asked == "auto" and device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    is_bf16 = (on_cpu.get(network, "float32") if asked == "auto" else asked) == "bf16"
    if is_bf16 and device.type == "cpu" and not has_bf16():
        _LOG.warning(
            "%s runs in bf16, for which this processor has no instructions: this is slow. "
            "Restrict the study to nodes that have them, or start a new study with `resources: "
            "{precision: float32}`.",
            network,
        )
    return is_bf16


def _measure(name: str, n_leads: int, n_samples: int) -> MeasuredPrecision:
    """Measure steps in both precisions alternately, so that other load affects both."""
    with seeded(0):
        network = build_network(name, n_leads, n_classes=1)
        signal_BLS = torch.randn(_BATCH_SIZE, n_leads, n_samples)
    labels_BC = torch.zeros(_BATCH_SIZE, 1)

    def step_s(*, bf16: bool) -> float:
        network.zero_grad(set_to_none=True)
        started_s = time.perf_counter()
        logits_BC, _ = run_network(network, signal_BLS, bf16=bf16)
        functional.binary_cross_entropy_with_logits(logits_BC, labels_BC).backward()
        return time.perf_counter() - started_s

    # The first steps are not counted: they select and compile kernels.
    for bf16 in (False, True):
        step_s(bf16=bf16)
    rounds: list[tuple[float, float]] = []
    while len(rounds) < _LEAST_ROUNDS or (
        len(rounds) < _MOST_ROUNDS and sum(map(sum, rounds)) < _ROUNDS_S
    ):
        rounds.append((step_s(bf16=False), step_s(bf16=True)))
    # The minimum, not the median: other load can only slow a step.
    float32_s, bf16_s = (min(times) for times in zip(*rounds, strict=True))
    return MeasuredPrecision(
        chosen="bf16" if float32_s >= LEAST_GAIN * bf16_s else "float32",
        float32_ms=round(1e3 * float32_s, 3),
        bf16_ms=round(1e3 * bf16_s, 3),
    )
