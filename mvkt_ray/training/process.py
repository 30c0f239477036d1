"""Device, cores, share of a batch, and randomness of a training process."""

import math
import os
from collections.abc import Generator
from contextlib import contextmanager

import torch

from mvkt_ray.data.splits import Split
from mvkt_ray.errors import ConfigError, DataError
from mvkt_ray.training.ranks import Ranks

EVALUATION_BATCH_SIZE = 512
"""Windows in one forward pass without gradients; larger is not faster on one core or on a GPU."""


def current_device() -> torch.device:
    """Return the GPU that this process was given, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def check_batch_size(batch_size: int, ranks: Ranks) -> None:
    """Raise unless every rank gets an example of each batch; the batch size is over all ranks.

    Raises:
        ConfigError: There are more ranks than examples in a batch.
    """
    if batch_size < ranks.world_size:
        raise ConfigError(
            f"batch_size is {batch_size}, fewer than one example for each of {ranks.world_size} "
            f"workers. Set it to {ranks.world_size} or more, or use fewer workers."
        )


def threads_for(cpus: float) -> int:
    """Return the number of torch's threads for reserved CPUs: more would wait for each other.

    `OMP_NUM_THREADS` takes precedence; in a worker Ray sets it to the CPUs of a task or an actor
    unless the user has set it.
    """
    given = os.environ.get("OMP_NUM_THREADS", "")
    return int(given) if given.isdecimal() and int(given) > 0 else max(1, math.floor(cpus))


@contextmanager
def torch_threads(n_threads: int) -> Generator[None]:
    """Set torch's number of threads for the block; a setting of the process, not of a thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Generator[None]:
    """Seed torch's CPU generator for the block, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def check_validation(val: Split) -> None:
    """Raise unless at least one class can be scored.

    Raises:
        DataError: Every class is in no recording of the validation split, or in all.
    """
    shares_C = val.labels.mean(axis=0)
    if not ((shares_C > 0) & (shares_C < 1)).any():
        raise DataError(
            f"No class of {', '.join(val.classes)} can be scored: each is positive in none or in "
            f"all of the {len(val.rows)} recordings of the validation split. Choose other "
            "validation folds (data.folds.val), or another task."
        )
