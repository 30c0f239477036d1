"""The training processes (ranks) of one model, and their collective operations.

Without torch.distributed there is one rank, without communication. Ranks exchange tensors only,
never pickles.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as dist

from mvkt_ray.models import collectives


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranks:
    """This process's rank in the process group of a model; all ranks must call every method."""

    rank: int = 0
    world_size: int = 1

    @classmethod
    def here(cls) -> "Ranks":
        """Return the rank in this process's group; without a group, the only rank."""
        return cls(rank=collectives.rank(), world_size=collectives.world_size())

    @property
    def is_first(self) -> bool:
        """Whether this rank writes and reports for all."""
        return self.rank == 0

    @property
    def are_many(self) -> bool:
        """Whether there are other ranks."""
        return self.world_size > 1

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows of all ranks, in the order of ranks, on the CPU of every rank.

        Args:
            rows: `[n, ...]`: this rank's part; n may differ between ranks.
        """
        if not self.are_many:
            return rows.cpu()
        rows = rows.to(_device()).contiguous()
        ranks = range(self.world_size)
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in ranks]
        dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
        n_rows = [int(count) for count in counts]
        padded = rows.new_zeros((max(n_rows), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in ranks]
        dist.all_gather(parts, padded)
        return torch.cat([part[:n] for part, n in zip(parts, n_rows, strict=True)]).cpu()

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum over ranks, on the CPU."""
        if not self.are_many:
            return tensor.cpu()
        summed = tensor.to(_device(), copy=True)
        dist.all_reduce(summed)
        return summed.cpu()

    def from_first(self, content: bytes | None) -> bytes | None:
        """Return the first rank's content on all ranks; the content of the others is ignored."""
        if not self.are_many:
            return content
        missing = -1
        size = torch.tensor([missing if content is None else len(content)], device=_device())
        dist.broadcast(size, src=0)
        n_bytes = int(size)
        if n_bytes == missing:
            return None
        if self.is_first:
            assert content is not None
            values = torch.frombuffer(bytearray(content or b"\0"), dtype=torch.uint8)
        else:
            values = torch.zeros(max(n_bytes, 1), dtype=torch.uint8)
        values = values.to(_device())
        dist.broadcast(values, src=0)
        return values.cpu().numpy().tobytes()[:n_bytes]

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.are_many:
            dist.barrier()


def _device() -> torch.device:
    """Return the device for collectives: NCCL needs tensors on the GPU, gloo on the CPU."""
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")
