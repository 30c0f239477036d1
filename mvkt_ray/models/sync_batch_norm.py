"""Batch normalisation over the batch of all ranks, on CPUs (gloo) as well as on GPUs.

torch.nn.SyncBatchNorm works on GPUs only, and DistributedDataParallel refuses it on CPUs. Without
it, two workers with half a batch each train another model than one worker with the whole batch. On
GPUs its fused kernels are used; on CPUs the same formulas, with one all-reduce forward and one
backward.

Shapes: B batch, F channels, T time steps; `stat_F` is one number per channel.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from mvkt_ray.errors import ConfigError
from mvkt_ray.models.collectives import sum_over_ranks, world_size


def sync_batch_norm(network: nn.Module) -> nn.Module:
    """Replace every BatchNorm2d in place, and return the network.

    Call it when the network is on its device, before DistributedDataParallel wraps it. Weights,
    running statistics and the keys of the state dict stay as they are. With one rank, or in
    evaluation, the result computes exactly what it did before.

    Raises:
        TypeError: a layer has no weights, no running statistics or no momentum.
        ConfigError: one normalises by the batch and is no BatchNorm2d, as a plug-in's may be.
    """
    for name, child in network.named_children():
        if type(child) is nn.BatchNorm2d:
            setattr(network, name, _converted(child))
        elif isinstance(child, nn.BatchNorm1d | nn.BatchNorm3d):
            raise ConfigError(
                f"the network has a {type(child).__name__}, whose statistics several workers "
                "would compute on their own parts of the batch. Give models one worker, or build "
                "the network from `mvkt_ray.models.layers`, whose batch normalisation "
                "synchronises."
            )
        else:
            sync_batch_norm(child)
    return network


class AllRanksBatchNorm(nn.BatchNorm2d):
    """A BatchNorm2d whose training statistics are those of all ranks' batches together."""

    def forward(self, input: Tensor) -> Tensor:
        """Return `input`, features_BF1T, normalised channel by channel."""
        if not self.training or world_size() == 1:
            return super().forward(input)
        # For the type checker: `_converted` lets only layers through that have all of these.
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        mean_F, var_F, count = _statistics_of_all_ranks(input.detach().to(self.weight.dtype))
        with torch.no_grad():
            # The running variance is the unbiased one, as in torch.
            unbiased_F = var_F * count / (count - 1)
            self.running_mean.lerp_(mean_F, self.momentum)
            self.running_var.lerp_(unbiased_F, self.momentum)
        normalised: Tensor = _Normalise.apply(
            input, self.weight, self.bias, mean_F, var_F, count, self.eps
        )
        return normalised


def _converted(norm: nn.BatchNorm2d) -> nn.Module:
    if not (norm.affine and norm.track_running_stats and norm.momentum is not None):
        raise TypeError(
            "sync_batch_norm supports only affine batch normalisation with running statistics "
            f"and a momentum, got {norm}."
        )
    kind = nn.SyncBatchNorm if norm.weight.is_cuda else AllRanksBatchNorm
    synced = kind(norm.num_features, eps=norm.eps, momentum=norm.momentum)
    # The same tensors, not copies: an optimiser that already holds them keeps working.
    synced.weight, synced.bias = norm.weight, norm.bias
    synced.running_mean, synced.running_var = norm.running_mean, norm.running_var
    synced.num_batches_tracked = norm.num_batches_tracked
    return synced.train(norm.training)


def _statistics_of_all_ranks(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return mean_F, biased var_F and the number of values per channel."""
    dims = [0, *range(2, features.dim())]
    n_values = features.numel() // features.shape[1]
    var_F, mean_F = torch.var_mean(features, dims, correction=0)
    # Sums of raw squares would cancel in float32; float64 on F numbers is free.
    mean_F, var_F = mean_F.double(), var_F.double()
    n_channels = len(mean_F)
    # Mean, mean square and 1, each times the number of values: sums over ranks of any sizes.
    moments = torch.cat([mean_F, var_F + mean_F**2, mean_F.new_ones(1)]) * n_values
    moments = sum_over_ranks(moments)
    count = moments[-1]
    mean_F = moments[:n_channels] / count
    var_F = (moments[n_channels:-1] / count - mean_F**2).clamp_min(0)
    return mean_F.to(features.dtype), var_F.to(features.dtype), count.to(features.dtype)


class _Normalise(torch.autograd.Function):
    """Normalise by given statistics, knowing that these depend on every rank's input."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight_F: Tensor,
        bias_F: Tensor,
        mean_F: Tensor,
        var_F: Tensor,
        count: Tensor,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(features, weight_F, mean_F, torch.rsqrt(var_F + eps), count)
        return functional.batch_norm(
            features, mean_F, var_F, weight_F, bias_F, training=False, eps=eps
        )

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        features, weight_F, mean_F, rsqrt_F, count = ctx.saved_tensors
        grad = grad_outputs[0].to(weight_F.dtype)
        dims = [0, *range(2, grad.dim())]
        shape = [1, -1] + [1] * (grad.dim() - 2)

        centred = features - mean_F.view(shape)
        grad_bias_F = grad.sum(dims)
        grad_weight_F = (grad * centred).sum(dims) * rsqrt_F
        sum_bias_F, sum_weight_F = sum_over_ranks(torch.stack([grad_bias_F, grad_weight_F]))
        # The weight's own gradient stays this rank's part: DDP averages it like any other.
        scale_F = weight_F * rsqrt_F
        # The usual gradient of batch normalisation, with sums and count over all ranks: mean and
        # variance depend on every rank's input, so every rank's output depends on this one's.
        grad_features = (
            grad * scale_F.view(shape)
            - centred * (scale_F * rsqrt_F * sum_weight_F / count).view(shape)
            - (scale_F * sum_bias_F / count).view(shape)
        )
        return grad_features.to(features.dtype), grad_weight_F, grad_bias_F, None, None, None, None
