"""Losses are computed at least in float32, in any precision of the networks."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import torch
from torch import Tensor

P = ParamSpec("P")


def in_full_precision(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Cast float16 and bfloat16 arguments of a loss to float32, and switch autocast off inside it.

    Args:
        loss: a function of tensors of any shapes `[...]`, which returns one.

    Exponentials of similarities divided by a small temperature, and logarithms of probabilities
    near 0, are too inaccurate in half precision. float64 stays float64.
    """

    @wraps(loss)
    def in_full(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        tensors = [value for value in args if isinstance(value, Tensor)]
        device_type = tensors[0].device.type if tensors else "cpu"
        with torch.autocast(device_type, enabled=False):
            return loss(
                *(at_least_float32(value) for value in args),  # type: ignore[arg-type]
                **{name: at_least_float32(value) for name, value in kwargs.items()},  # type: ignore[arg-type]
            )

    return in_full


def at_least_float32(value: object) -> object:
    """Cast a half-precision tensor to float32; return anything else as it is."""
    if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
        return value.float()
    return value
