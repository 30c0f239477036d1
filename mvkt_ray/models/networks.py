"""Networks from the table: built with fresh weights, or counted without any."""

from functools import lru_cache

import torch

from mvkt_ray.models.facts import NetworkFacts, network_facts
from mvkt_ray.models.network import Network
from mvkt_ray.models.network_table import network_row
from mvkt_ray.models.small import BLOCKS_PER_STAGE, FIRST_WIDTH


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
