"""Workers of one model that become fewer when a node is lost, and more when one comes."""

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from own_cluster import add_node, kill_node, own_cluster
from ray import cloudpickle

from mvkt_ray.config.resources import WorkersConfig
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray import many_workers
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.on_ray.many_workers import run_ranks

pytestmark = pytest.mark.ray


def count_epochs(config: dict[str, Any]) -> None:
    """Go on from the epoch in a file until the first rank hears that it is enough."""
    import torch
    from torch import distributed

    from mvkt_ray.on_ray.mailbox import ask

    checkpoint = Path(config["folder"]) / "epoch"
    epoch = int(checkpoint.read_text()) if checkpoint.exists() else 0
    n_ranks = distributed.get_world_size() if distributed.is_initialized() else 1
    goes_on = torch.ones(1)
    while goes_on:
        epoch += 1
        if n_ranks == 1 or distributed.get_rank() == 0:
            goes_on[0] = ask(config["mailbox"], (epoch, n_ranks))
            # A rank may be ended at any instant, and the next one reads what it left.
            aside = checkpoint.with_name("epoch.partial")
            aside.write_text(str(epoch))
            aside.replace(checkpoint)
        if n_ranks > 1:
            distributed.broadcast(goes_on, src=0)


def test_a_model_goes_on_with_fewer_workers_and_takes_more_when_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(many_workers, "RESIZE_INTERVAL_S", 2.0)
    heard: list[tuple[int, int]] = []
    with own_cluster(num_cpus=0) as cluster, OnRay.connect(cluster.address):
        nodes = [add_node(cluster) for _ in range(2)]

        def reply(said: tuple[int, int]) -> bool:
            heard.append(said)
            sizes = [size for size, _ in itertools.groupby(size for _, size in heard)]
            if sizes == [2] and len(nodes) == 2:
                kill_node(cluster, nodes.pop())
            if sizes == [2, 1] and len(nodes) == 1:
                nodes.append(add_node(cluster))
            return sizes != [2, 1, 2]

        run_ranks(
            count_epochs,
            {"folder": str(tmp_path)},
            WorkersConfig(workers=(1, 2)),
            storage=str(tmp_path / "train"),
            reply=reply,
        )

        # Train itself tries to start them for ever.
        monkeypatch.setattr(many_workers, "NODES_COME_WITHIN_S", 0.0)
        with pytest.raises(ClusterError, match=r"3 workers with 1 CPUs .* begin together, and Ray"):
            run_ranks(
                count_epochs,
                {"folder": str(tmp_path)},
                WorkersConfig(workers=3),
                storage=str(tmp_path / "train"),
                reply=reply,
            )

    assert [size for size, _ in itertools.groupby(size for _, size in heard)] == [2, 1, 2]
    epochs = [epoch for epoch, _ in heard]
    # At most the epoch in flight is done again.
    assert all(after - before in (0, 1) for before, after in itertools.pairwise(epochs))
