"""Networks from signals to logits and embeddings: pure torch, one file per family.

Adding a network is one builder of a backbone in a family file and one row of `NETWORKS`; those of
plug-ins are found by `network_row`. Losses are in `distill`, the epoch loop is in `training`.
"""

from collections.abc import Mapping
from functools import lru_cache, partial
from types import MappingProxyType

import torch

from mvkt_ray.errors import ConfigError
from mvkt_ray.models.ensemble import Ensemble, one_of
from mvkt_ray.models.facts import NetworkFacts, network_facts
from mvkt_ray.models.layers import expect_channels_last
from mvkt_ray.models.network import Backbone, Network
from mvkt_ray.models.network_row import NetworkRow, row_of_plugin
from mvkt_ray.models.projection import ProjectionHead
from mvkt_ray.models.resnet1d_wang import resnet1d_wang
from mvkt_ray.models.small import BLOCKS_PER_STAGE, FIRST_WIDTH, sepconv1d, sized_sepconv1d
from mvkt_ray.models.sync_batch_norm import sync_batch_norm
from mvkt_ray.models.xresnet1d import thin_xresnet1d, wide_xresnet1d
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.plugins.entry_points import find_plugin, plugin_names

__all__ = [
    "NETWORKS",
    "Backbone",
    "Ensemble",
    "Network",
    "NetworkFacts",
    "ProjectionHead",
    "build_network",
    "expect_channels_last",
    "facts_of_unbuilt",
    "network_facts",
    "network_names",
    "network_row",
    "one_of",
    "sync_batch_norm",
]


NETWORKS: Mapping[str, NetworkRow] = MappingProxyType(
    {
        "xresnet1d18": NetworkRow(partial(thin_xresnet1d, depth=18)),
        "xresnet1d34": NetworkRow(partial(thin_xresnet1d, depth=34)),
        "xresnet1d50": NetworkRow(partial(thin_xresnet1d, depth=50)),
        "xresnet1d101": NetworkRow(partial(thin_xresnet1d, depth=101)),
        "xresnet1d18_wide": NetworkRow(partial(wide_xresnet1d, depth=18)),
        "xresnet1d34_wide": NetworkRow(partial(wide_xresnet1d, depth=34)),
        "xresnet1d50_wide": NetworkRow(partial(wide_xresnet1d, depth=50)),
        "xresnet1d101_wide": NetworkRow(partial(wide_xresnet1d, depth=101)),
        "resnet1d_wang": NetworkRow(resnet1d_wang),
        "sepconv1d_small": NetworkRow(
            partial(sepconv1d, widths=(32, 64, 96, 128), blocks_per_stage=2)
        ),
        "sepconv1d_tiny": NetworkRow(
            partial(sepconv1d, widths=(16, 24, 32, 48), blocks_per_stage=1)
        ),
        "sepconv1d": NetworkRow(sized_sepconv1d, parameters=("width", "depth")),
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
        return row_of_plugin(plugin)
    if name in NETWORKS:
        return NETWORKS[name]
    raise ConfigError(
        f"There is no network {name!r}; {did_you_mean(name, network_names())} Correct it, or "
        "install the package that offers it: `mvkt plugins` lists the installed ones."
    )


def build_network(
    name: str,
    n_leads: int,
    n_classes: int,
    *,
    dropout: float = 0.0,
    width: int = FIRST_WIDTH,
    depth: int = BLOCKS_PER_STAGE,
) -> Network:
    """Build a network, with fresh weights from torch's global random state.

    Args:
        name: one of `network_names`.
        n_leads: leads in the signal, the second dimension of the input.
        n_classes: logits per recording.
        dropout: probability of dropping an embedding entry before the classifier, in [0, 1).
        width: channels of the first stage; of a network that has this parameter, no other's.
        depth: blocks per stage, from 0; likewise.

    Raises:
        ConfigError: as `network_row`.
    """
    row, given = network_row(name), {"width": width, "depth": depth}
    backbone = row.backbone(n_leads, **{key: given[key] for key in row.parameters})
    return Network(backbone, n_classes, dropout=dropout)


@lru_cache(maxsize=4096)
def facts_of_unbuilt(
    name: str, n_leads: int, n_classes: int, n_samples: int, *, width: int, depth: int
) -> NetworkFacts:
    """Count a network's parameters and work without memory for its weights.

    A search asks this of every configuration that it thinks of; what was counted is kept.

    Args:
        name: one of `network_names`.
        n_leads: leads in the signal.
        n_classes: logits per recording.
        n_samples: length of one evaluation window.
        width: as `build_network` takes it.
        depth: likewise.

    Raises:
        ConfigError: as `network_row`.
    """
    with torch.device("meta"):
        network = build_network(name, n_leads, n_classes, width=width, depth=depth)
    return network_facts(network, n_samples, n_leads)
