"""How near each network comes to what one core can do, in float32 and in bf16.

The peak is that of a large matrix product, measured between the steps. A step is forward, backward
and the optimiser, of one crop of one lead each. `channels first` is the same network with the
layout that it would have without `as_image`. All contenders take turns within each round, so that
whatever else the machine does, it does to all.

    OMP_NUM_THREADS=1 python benchmarks/arithmetic.py
    OMP_NUM_THREADS=1 python benchmarks/arithmetic.py --networks xresnet1d18,sepconv1d_small

With `--compiled` a step of each network is timed beside one through `torch.compile`, in the same
rounds. What the first compiled step takes is seen with an empty cache here, and with the cache that
this leaves in a process of its own.

    OMP_NUM_THREADS=1 python benchmarks/arithmetic.py --compiled --networks sepconv1d_small
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional

from mvkt_ray.models import network as network_module
from mvkt_ray.models.facts import network_facts
from mvkt_ray.models.networks import build_network
from mvkt_ray.training.cpu_precision import has_bf16
from mvkt_ray.training.learner import run_network

BACKWARD_AND_FORWARD = 3
"""Times the multiply-accumulates of a forward pass: the backward pass takes two more of each."""
MATRIX = 1024
PRECISIONS = ("float32", "bf16") if has_bf16() else ("float32",)
COMPILED_HEADER = """\
| network | precision | ms | ms, compiled | ratio | s, first step | again | pays |
|---|---|---|---|---|---|---|---|"""
NETWORKS = "xresnet1d18,resnet1d_wang,sepconv1d_small,sepconv1d_tiny"


def main() -> None:
    """Print one line per network and precision."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.cpu.get_capabilities()['cpu_name']}, one thread;")
    print(f"batch {arguments.batch_size}, {arguments.samples} samples, {arguments.rounds} rounds")
    if arguments.first_step:
        _, compiled = make_steps(arguments, arguments.networks, arguments.first_step)
        print(timed(compiled))
        return
    if arguments.compiled:
        print(COMPILED_HEADER)
        for name in arguments.networks.split(","):
            for precision in PRECISIONS:
                print(compare_compiled(name, precision, arguments), flush=True)
        return
    print("| network | precision | ms, channels first | ms | ratio | share of the peak |")
    print("|---|---|---|---|---|---|")
    for name in arguments.networks.split(","):
        for line in compare(name, arguments):
            print(line, flush=True)


def compare(name: str, arguments: argparse.Namespace) -> list[str]:
    """Time a network in both layouts and the matrix product; one line per precision."""
    network = build_network(name, 1, arguments.classes)
    facts = network_facts(network, arguments.samples, 1)
    signal_BLS = torch.randn(arguments.batch_size, 1, arguments.samples)
    labels_BC = torch.randint(2, (arguments.batch_size, arguments.classes)).float()
    contenders: dict[tuple[str, str], Callable[[], None]] = {}
    for precision in PRECISIONS:
        step = make_step(network, signal_BLS, labels_BC, bf16=precision == "bf16")
        contenders[precision, "first"] = channels_first(step)
        contenders[precision, "last"] = step
        contenders[precision, "peak"] = make_product(precision)
    seconds = take_turns(contenders, arguments.rounds)

    n_operations = 2 * facts.n_multiply_accumulates * arguments.batch_size * BACKWARD_AND_FORWARD
    lines: list[str] = []
    for precision in PRECISIONS:
        first, last, peak = (
            statistics.median(seconds[precision, what]) for what in ("first", "last", "peak")
        )
        share = (n_operations / last) / (2 * MATRIX**3 / peak)
        lines.append(
            f"| {name} | {precision} | {1e3 * first:.1f} | {1e3 * last:.1f} | {first / last:.2f} | "
            f"{share:.2f} of {2e-9 * MATRIX**3 / peak:.0f} GFLOP/s |"
        )
    return lines


def compare_compiled(name: str, precision: str, arguments: argparse.Namespace) -> str:
    """Time a network as it is and compiled; return one line."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
        torch.compiler.reset()
        eager, compiled = make_steps(arguments, name, precision)
        first_s = timed(compiled)
        seconds = take_turns({("eager", ""): eager, ("compiled", ""): compiled}, arguments.rounds)
        again = subprocess.run(
            [
                sys.executable,
                __file__,
                *sys.argv[1:],
                "--networks",
                name,
                "--first-step",
                precision,
            ],
            check=True,
            capture_output=True,
            text=True,
        )
    again_s = float(again.stdout.split()[-1])
    eager_s, compiled_s = (statistics.median(times) for times in seconds.values())
    gain_s = eager_s - compiled_s
    pays = f"after {first_s / gain_s:,.0f} steps" if gain_s > 0 else "never"
    return (
        f"| {name} | {precision} | {1e3 * eager_s:.1f} | {1e3 * compiled_s:.1f} | "
        f"{eager_s / compiled_s:.2f} | {first_s:.1f} | {again_s:.1f} | {pays} |"
    )


def make_steps(
    arguments: argparse.Namespace, name: str, precision: str
) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return a step of a network, and one of the same network compiled."""
    network = build_network(name, 1, arguments.classes)
    signal_BLS = torch.randn(arguments.batch_size, 1, arguments.samples)
    labels_BC = torch.randint(2, (arguments.batch_size, arguments.classes)).float()
    bf16 = precision == "bf16"
    compiled: torch.nn.Module = torch.compile(network)  # pyright: ignore[reportAssignmentType]
    return (
        make_step(network, signal_BLS, labels_BC, bf16=bf16),
        make_step(compiled, signal_BLS, labels_BC, bf16=bf16),
    )


def timed(run: Callable[[], None]) -> float:
    """Return the seconds that a call takes."""
    started_s = time.perf_counter()
    run()
    return time.perf_counter() - started_s


def make_step(
    network: torch.nn.Module, signal_BLS: Tensor, labels_BC: Tensor, *, bf16: bool
) -> Callable[[], None]:
    """Return a function that takes one step of training."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-6, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        logits_BC, _ = run_network(network, signal_BLS, bf16=bf16)
        functional.binary_cross_entropy_with_logits(logits_BC, labels_BC).backward()
        optimizer.step()

    return step


def channels_first(step: Callable[[], None]) -> Callable[[], None]:
    """Return the step with the signal left in torch's own layout."""

    def other() -> None:
        with mock.patch.object(network_module, "as_image", lambda signal: signal.unsqueeze(2)):
            step()

    return other


def make_product(precision: str) -> Callable[[], Any]:
    """Return a function that multiplies two matrices."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(MATRIX, MATRIX).to(dtype) for _ in range(2))
    return lambda: one @ other


def take_turns(
    contenders: dict[tuple[str, str], Callable[[], None]], n_rounds: int
) -> dict[tuple[str, str], list[float]]:
    """Run all contenders once per round; the first rounds are not counted."""
    seconds: dict[tuple[str, str], list[float]] = {key: [] for key in contenders}
    for _ in range(n_rounds + 2):
        for key, run in contenders.items():
            seconds[key].append(timed(run))
    return {key: times[2:] for key, times in seconds.items()}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", default=NETWORKS)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--samples", type=int, default=250)
    parser.add_argument("--classes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--compiled", action="store_true", help="beside torch.compile instead")
    parser.add_argument("--first-step", choices=PRECISIONS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
