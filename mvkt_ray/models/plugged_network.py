"""Networks of plug-ins: imported, tried, and checked.

A plug-in's network is a function that is called with the number of leads, and returns a backbone:
a module from signals `[batch, leads, samples]` to features `[batch, channels, steps]` which says in
`n_channels` how many channels come out. Pooling and classifier are ours, as of every network. Where
the function has a parameter `width` or `depth`, a study may choose it.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from mvkt_ray.errors import MvktError
from mvkt_ray.models.network import Backbone
from mvkt_ray.models.network_table import NetworkRow
from mvkt_ray.phrasing import shortly
from mvkt_ray.plugins.entry_points import Plugin
from mvkt_ray.plugins.loading import load, unfit

_MAY_BE_CHOSEN = ("width", "depth")


@lru_cache(maxsize=256)
def row_of_plugin(plugin: Plugin) -> NetworkRow:
    """Import the network of a plug-in.

    Raises:
        ConfigError: It cannot be imported, or is no function of the number of leads.
    """
    build = load(plugin)
    if not callable(build):
        raise unfit(plugin, f"is {build!r}", "must be a function of the number of leads")
    try:
        named = inspect.signature(build).parameters
    except (TypeError, ValueError):
        # Some callables of C have none to tell.
        named = {}

    def backbone(n_leads: int, **chosen: int) -> Backbone:
        return _checked(plugin, build, n_leads, chosen)

    return NetworkRow(backbone, tuple(name for name in _MAY_BE_CHOSEN if name in named))


def try_plugin(plugin: Plugin, n_leads: int, n_samples: int, chosen: Mapping[str, int]) -> None:
    """See that the network of a plug-in takes signals and gives features; nothing is computed.

    Args:
        plugin: A network.
        n_leads: Of the signals.
        n_samples: Their length.
        chosen: Values for what may be chosen of it; others are not looked at.

    Raises:
        ConfigError: It cannot be built, or does not fit signals of this shape.
    """
    row = row_of_plugin(plugin)
    should = "must give features [batch, channels, steps] with n_channels channels"
    try:
        # On "meta" only shapes are computed, so that this takes no time for any size.
        with torch.device("meta"), torch.no_grad():
            backbone = row.backbone(n_leads, **{name: chosen[name] for name in row.parameters})
            features_BFT: Any = backbone.eval()(torch.empty(2, n_leads, n_samples))
    except MvktError:
        raise
    except Exception as error:
        # Of the code of somebody else.
        shape = [2, n_leads, n_samples]
        raise unfit(plugin, f"fails on signals {shape}: {shortly(error)}", should) from error
    if not isinstance(features_BFT, Tensor) or features_BFT.shape[:-1] != (2, backbone.n_channels):
        shape = list(getattr(features_BFT, "shape", [])) or type(features_BFT).__name__
        raise unfit(plugin, f"gives {shape} where n_channels is {backbone.n_channels}", should)


def _checked(
    plugin: Plugin, build: Callable[..., Any], n_leads: int, chosen: dict[str, int]
) -> Backbone:
    """Build the backbone of a plug-in, and see that it is one."""
    try:
        built = build(n_leads, **chosen)
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        # Whatever else it raises may be the machine's doing, as where a GPU has no memory.
        raise unfit(
            plugin,
            f"cannot be built for {n_leads} leads {chosen or ''}: {shortly(error)}",
            "must be a function of the number of leads",
        ) from error
    if not isinstance(built, nn.Module):
        raise unfit(plugin, f"returns {type(built).__name__}", "must return a torch.nn.Module")
    n_channels: Any = getattr(built, "n_channels", None)
    if not isinstance(n_channels, int) or n_channels < 1:
        raise unfit(
            plugin,
            f"returns a module whose n_channels is {n_channels!r}",
            "must state its number of output channels there",
        )
    # Whatever module it is, it is called as a backbone is.
    built_here: Any = built
    return built_here
