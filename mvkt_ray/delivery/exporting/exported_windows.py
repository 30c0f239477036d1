"""Windows and crops in millivolts, the input of an exported graph, from a study's recordings.

Shapes: B windows, L leads, S samples, N recordings, C classes.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.data.loader import EvalLoader, TrainLoader
from mvkt_ray.data.shards import Shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View

BATCH_SIZE = 256
"""Windows per call of a graph: larger batches need more memory without being faster."""

CALIBRATION_BATCHES, CALIBRATION_BATCH_SIZE = 16, 32
"""Batches of training crops for the scales of the int8 graph, 512 crops in all."""

Graph = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Function from windows `[B, L, S]` in mV to probabilities `[B, C]`."""


def probabilities_of(graph: Graph, shards: Shards, split: Split, view: View) -> NDArray[np.float32]:
    """Return a graph's probabilities for a split, float32 `[N, C]`: the maxima over windows."""
    scores_NC = np.full(split.labels.shape, -np.inf, dtype=np.float32)
    loader = EvalLoader(shards, split, in_mv(view), batch_size=BATCH_SIZE)
    for batch in loader.batches():
        np.maximum.at(scores_NC, batch.example_B.numpy(), graph(batch.signal_BLS.numpy()))
    return scores_NC


def calibration_crops(
    shards: Shards, split: Split, view: View, seed: int
) -> Iterator[NDArray[np.float32]]:
    """Yield batches of training crops `[B, L, S]` in mV, the first ones of a shuffled epoch."""
    size = min(CALIBRATION_BATCH_SIZE, len(split))
    loader = TrainLoader(shards, split, in_mv(view), batch_size=size, seed=seed)
    for batch, _ in zip(loader.epoch(0), range(CALIBRATION_BATCHES), strict=False):
        yield batch.signal_BLS.numpy()


def windows_mv(shards: Shards, split: Split, view: View) -> Iterator[NDArray[np.float32]]:
    """Yield batches of evaluation windows `[B, L, S]` in mV."""
    for batch in EvalLoader(shards, split, in_mv(view), batch_size=BATCH_SIZE).batches():
        yield batch.signal_BLS.numpy()


def in_mv(view: View) -> View:
    """Return a view without scaling, whose loaders yield signals in mV."""
    return replace(view, mean_mv=0.0, std_mv=1.0)
