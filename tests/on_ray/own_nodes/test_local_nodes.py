"""Nodes on this machine: one that does not start is given up, and leaves nothing."""

import sys
from pathlib import Path

import pytest

from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.own_nodes import local_nodes
from mvkt_ray.on_ray.own_nodes.local_nodes import start_node
from mvkt_ray.on_ray.own_nodes.node_request import NodeRequest

NEVER_ENDS = (sys.executable, "-c", "import signal; signal.pause()")


def test_a_node_that_does_not_start_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_nodes, "STARTS_WITHIN_S", 0.05)
    monkeypatch.setattr(local_nodes, "_base", lambda: tmp_path)
    monkeypatch.setattr(local_nodes, "_ray_start", lambda *_: NEVER_ENDS)
    request = NodeRequest(node_ip="127.0.0.1", token=tmp_path / "token", node_ports=(1, 40))
    with pytest.raises(ClusterError, match=r"`ray start` has not ended within .* Try again"):
        start_node(request)
    assert list(tmp_path.iterdir()) == []
