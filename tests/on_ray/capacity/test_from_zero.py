"""A study on a cluster without a node for it: its trials let Ray's own autoscaler start them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import stand_ins
from own_autoscaler import group, own_autoscaler
from ray.cluster_utils import Cluster
from stand_ins import make_inputs, open_study, plan

from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.records import TrialState

pytestmark = pytest.mark.ray

MOST_NODES = 2


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    groups = {"trainers": group(MOST_NODES, CPU=1)}
    with own_autoscaler(tmp_path, groups, max_workers=MOST_NODES) as cluster:
        yield cluster


def test_trials_start_the_nodes_that_they_run_on(cluster: Cluster, tmp_path: Path) -> None:
    assert cluster.head_node
    # They wait for each other, so that each needs a node of its own.
    for number in range(MOST_NODES):
        plan(tmp_path, number, epoch=3, do="wait")
    study = open_study(tmp_path, 2 * MOST_NODES)

    def go_on_when_all_are_there() -> None:
        if all(len(stand_ins.trained(tmp_path, number)) == 2 for number in range(MOST_NODES)):
            (tmp_path / "go").touch()

    with OnRay.connect(cluster.address, run_trial=stand_ins.run_stand_in) as runner:
        assert [node["NodeID"] for node in ray.nodes()] == [cluster.head_node.node_id]
        assert ray.cluster_resources().get("CPU", 0) == 0
        runner.run_trials(study, make_inputs(tmp_path), go_on_when_all_are_there)
        is_alive = {node["NodeID"]: node["Alive"] for node in ray.nodes()}

    records = study.trials()
    assert [record.state for record in records] == [TrialState.COMPLETE] * 2 * MOST_NODES
    assert [record.failures for record in records] == [()] * 2 * MOST_NODES
    head = cluster.head_node.node_id
    assert head[:8] not in {r.result.node.split("/")[1] for r in records if r.result}
    # Not one more than there may be, and none that was ended before its time.
    assert len(is_alive) == 1 + MOST_NODES
    assert all(is_alive.values())
