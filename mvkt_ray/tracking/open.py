"""Opens the trackers given as `mlflow=URI`, `wandb=PROJECT` or `tensorboard=DIR`."""

import importlib
from collections.abc import Sequence

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import hide_passwords, one_line, without_passwords
from mvkt_ray.tracking.tracker import Tracker

_TRACKERS = {
    "mlflow": ("mvkt_ray.tracking.in_mlflow", "InMlflow", "URI"),
    "wandb": ("mvkt_ray.tracking.in_wandb", "InWandb", "PROJECT"),
    "tensorboard": ("mvkt_ray.tracking.in_tensorboard", "InTensorboard", "DIR"),
}
"""Module, class, and placeholder of the target, by kind; each kind is an extra of the package."""


def open_trackers(texts: Sequence[str]) -> dict[str, Tracker]:
    """Open trackers by their `--tracker` texts, such as `mlflow=URI`.

    Raises:
        ConfigError: There is no such tracker, its target is missing, or its extra is not installed.
    """
    return {without_passwords(text): _open(text) for text in dict.fromkeys(texts)}


def _open(text: str) -> Tracker:
    kind, _, target = text.partition("=")
    if kind not in _TRACKERS or not target:
        known = ", ".join(f"{name}={hint}" for name, (_, _, hint) in _TRACKERS.items())
        raise ConfigError(f"--tracker {text!r} is not a known tracker: write one of {known}.")
    module, name, _ = _TRACKERS[kind]
    try:
        make = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigError(
            f"--tracker {text!r} needs {kind}, which is not installed ({error}). Install it by "
            f"pip install 'mvkt-ray[{kind}]', or leave the tracker out."
        ) from None
    try:
        return make(target)
    except Exception as error:
        why = one_line(error, 700)
        said = f"{kind} refuses {target!r}: {why}"
        raise ConfigError(hide_passwords(f"--tracker {text!r}: {said}")) from None
