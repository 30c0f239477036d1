"""Sums and gathers over all training ranks that gradients flow through; without ranks, nothing.

torch.distributed.nn.functional has the same, but is deprecated since torch 2.13, and wants equal
sizes on every rank. Everything here is one kind of all-reduce, which gloo and NCCL both have.
"""

from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist


def world_size() -> int:
    """Return the number of training ranks: 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return the number of this rank, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def rows_per_rank(n_rows: int, device: torch.device) -> list[int]:
    """Return how many rows every rank has; called by all of them together."""
    if world_size() == 1:
        return [n_rows]
    counts = torch.zeros(world_size(), dtype=torch.int64, device=device)
    counts[rank()] = n_rows
    dist.all_reduce(counts)
    return counts.tolist()


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """Return the elementwise sum of every rank's tensor, on every rank.

    Args:
        tensor: any shape `[...]`, the same on all ranks.

    Returns:
        `[...]`, as the argument. The gradient is that of the sum of all ranks' losses, as DDP
        expects, which divides it by the number of ranks afterwards.
    """
    if world_size() == 1:
        return tensor
    summed: Tensor = _SumOverRanks.apply(tensor)
    return summed


def gather_rows(tensor: Tensor, rows: list[int]) -> Tensor:
    """Return the rows of every rank, in the order of ranks, on every rank.

    Args:
        tensor: this rank's part `[rows[rank], ...]`; the first dimension may differ between ranks.
        rows: what `rows_per_rank` returned.

    Returns:
        `[sum(rows), ...]`, with gradients to every rank's part.
    """
    if world_size() == 1:
        return tensor
    start = sum(rows[: rank()])
    joined = tensor.new_zeros((sum(rows), *tensor.shape[1:]))
    # A sum of parts that are zero elsewhere: gloo gathers equal sizes only, and without gradients.
    return sum_over_ranks(joined.index_copy(0, _own_rows(start, tensor), tensor))


def own_part(joined: Tensor, rows: list[int]) -> Tensor:
    """Return this rank's part `[rows[rank], ...]` of what `gather_rows` returned.

    Args:
        joined: `[sum(rows), ...]`.
        rows: what `rows_per_rank` returned.
    """
    start = sum(rows[: rank()])
    return joined[start : start + rows[rank()]]


def share_of_mean(rows: list[int]) -> float:
    """Return the factor that makes this rank's mean its share of the joined batch's mean.

    The mean over ranks of (factor times the mean over own rows) is the mean over all rows, as is
    the gradient that DDP averages. It is 1 where all ranks have as many rows.
    """
    return rows[rank()] * len(rows) / sum(rows)


def _own_rows(start: int, tensor: Tensor) -> Tensor:
    return torch.arange(start, start + len(tensor), device=tensor.device)


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        # A copy: all_reduce works in place, and refuses memory that is not contiguous.
        summed = tensor.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        grad = grad_outputs[0].clone(memory_format=torch.contiguous_format)
        dist.all_reduce(grad)
        return grad
