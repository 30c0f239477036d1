"""Networks from signals to logits and embeddings: pure torch, one file per family.

Adding a network is one builder of a backbone in a family file and one row of `NETWORKS`. Losses are
in `distill`, the epoch loop is in `training`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from mvkt_ray.errors import ConfigError
from mvkt_ray.models.facts import NetworkFacts, network_facts
from mvkt_ray.models.layers import expect_channels_last
from mvkt_ray.models.network import Backbone, Network
from mvkt_ray.models.projection import ProjectionHead
from mvkt_ray.models.resnet1d_wang import resnet1d_wang
from mvkt_ray.models.small import sepconv1d
from mvkt_ray.models.sync_batch_norm import sync_batch_norm
from mvkt_ray.models.xresnet1d import thin_xresnet1d, wide_xresnet1d
from mvkt_ray.phrasing import did_you_mean

__all__ = [
    "NETWORKS",
    "Backbone",
    "Network",
    "NetworkFacts",
    "ProjectionHead",
    "build_network",
    "expect_channels_last",
    "network_facts",
    "sync_batch_norm",
]

NETWORKS: Mapping[str, Callable[[int], Backbone]] = MappingProxyType(
    {
        "xresnet1d18": partial(thin_xresnet1d, depth=18),
        "xresnet1d34": partial(thin_xresnet1d, depth=34),
        "xresnet1d50": partial(thin_xresnet1d, depth=50),
        "xresnet1d101": partial(thin_xresnet1d, depth=101),
        "xresnet1d18_wide": partial(wide_xresnet1d, depth=18),
        "xresnet1d34_wide": partial(wide_xresnet1d, depth=34),
        "xresnet1d50_wide": partial(wide_xresnet1d, depth=50),
        "xresnet1d101_wide": partial(wide_xresnet1d, depth=101),
        "resnet1d_wang": resnet1d_wang,
        "sepconv1d_small": partial(sepconv1d, widths=(32, 64, 96, 128), blocks_per_stage=2),
        "sepconv1d_tiny": partial(sepconv1d, widths=(16, 24, 32, 48), blocks_per_stage=1),
    }
)
"""Backbones by name, each a function of the number of leads. The only list of networks."""


def build_network(name: str, n_leads: int, n_classes: int, *, dropout: float = 0.0) -> Network:
    """Build a network of the table, with fresh weights from torch's global random state.

    Args:
        name: a key of `NETWORKS`.
        n_leads: leads in the signal, the second dimension of the input.
        n_classes: logits per recording.
        dropout: probability of dropping an embedding entry before the classifier, in [0, 1).

    Raises:
        ConfigError: the table has no network of this name.
    """
    if name not in NETWORKS:
        raise ConfigError(
            f"There is no network {name!r}; {did_you_mean(name, NETWORKS)} Correct it, or "
            "add a row to NETWORKS in mvkt_ray/models/__init__.py."
        )
    return Network(NETWORKS[name](n_leads), n_classes, dropout=dropout)
