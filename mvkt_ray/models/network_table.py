"""The table of networks by name, ours and those of plug-ins.

It names networks without importing torch, which takes longer than most commands that read a study:
builders are imported when a network is built.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.plugins.entry_points import find_plugin, plugin_names

if TYPE_CHECKING:
    from mvkt_ray.models.network import Backbone


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One row of the table of networks."""

    backbone: "Callable[..., Backbone]"
    """Called with the number of leads, and with the row's parameters by name."""
    parameters: tuple[str, ...] = ()
    """Size parameters, `width` or `depth`; empty: the network has one size."""


def _builder(module: str, name: str, **fixed: Any) -> "Callable[..., Backbone]":
    """Return a builder that imports its module, one of this room, when it is called."""

    def backbone(n_leads: int, **sizes: int) -> "Backbone":
        build = getattr(import_module(f"mvkt_ray.models.{module}"), name)
        return build(n_leads, **fixed, **sizes)

    return backbone


NETWORKS: Mapping[str, NetworkRow] = MappingProxyType(
    {
        **{
            f"xresnet1d{depth}": NetworkRow(_builder("xresnet1d", "thin_xresnet1d", depth=depth))
            for depth in (18, 34, 50, 101)
        },
        **{
            f"xresnet1d{depth}_wide": NetworkRow(
                _builder("xresnet1d", "wide_xresnet1d", depth=depth)
            )
            for depth in (18, 34, 50, 101)
        },
        "resnet1d_wang": NetworkRow(_builder("resnet1d_wang", "resnet1d_wang")),
        "sepconv1d_small": NetworkRow(
            _builder("small", "sepconv1d", widths=(32, 64, 96, 128), blocks_per_stage=2)
        ),
        "sepconv1d_tiny": NetworkRow(
            _builder("small", "sepconv1d", widths=(16, 24, 32, 48), blocks_per_stage=1)
        ),
        "sepconv1d": NetworkRow(
            _builder("small", "sized_sepconv1d"), parameters=("width", "depth")
        ),
    }
)
"""Networks by name. The only list of ours."""


def network_names() -> tuple[str, ...]:
    """List the networks that can be named: ours, then those of plug-ins, which stay unimported."""
    return tuple(dict.fromkeys([*NETWORKS, *plugin_names("network")]))


def network_row(name: str) -> NetworkRow:
    """Return how a network is built; one of a plug-in is imported for that.

    Raises:
        ConfigError: There is none of this name, or several packages offer it, or it cannot be used.
    """
    plugin = find_plugin("network", name, NETWORKS)
    if plugin is not None:
        from mvkt_ray.models.plugged_network import row_of_plugin

        return row_of_plugin(plugin)
    if name in NETWORKS:
        return NETWORKS[name]
    raise ConfigError(
        f"There is no network {name!r}; {did_you_mean(name, network_names())} Correct it, or "
        "install the package that offers it: `mvkt plugins` lists the installed ones."
    )
