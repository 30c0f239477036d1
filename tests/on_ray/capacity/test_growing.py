"""Clusters whose nodes differ, and come and go while a study runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import stand_ins
from own_cluster import add_node, kill_node, own_cluster
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group, placement_group_table
from stand_ins import make_inputs, open_study, plan

from mvkt_ray.config.resources import IngestResourcesConfig, ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.capacity.reservations import SAFE_LABEL, of_driver
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.records import TrialState
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.ray

ON_A10G = WorkersConfig(gpus_per_worker=0.5, accelerator_type="A10G", cpus_per_worker=0.5)
A10G: dict[str, Any] = {"num_gpus": 1, "resources": {"accelerator_type:A10G": 1}}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_cluster(1) as cluster:
        yield cluster


@pytest.fixture
def runner(cluster: Cluster) -> Iterator[OnRay]:
    with OnRay.connect(cluster.address, run_trial=stand_ins.run_stand_in) as runner:
        yield runner


def test_a_node_that_comes_in_the_middle_gets_trials(
    cluster: Cluster, runner: OnRay, tmp_path: Path
) -> None:
    plan(tmp_path, 0, epoch=3, do="wait")
    study = open_study(tmp_path, 4)
    added: list[Any] = []

    def add_a_node_and_wait_for_its_first_trial() -> None:
        if not added and len(stand_ins.trained(tmp_path, 0)) == 2:
            added.append(add_node(cluster))
        # The only slot of the first node is taken until then.
        if any(record.state is TrialState.COMPLETE for record in study.trials()):
            (tmp_path / "go").touch()

    runner.run_trials(study, make_inputs(tmp_path), add_a_node_and_wait_for_its_first_trial)

    nodes = [record.result.node.split("/")[1] for record in study.trials() if record.result]
    [node] = added
    assert cluster.head_node
    assert cluster.head_node.node_id.startswith(nodes[0])
    assert node.node_id.startswith(nodes[1])
    assert len(nodes) == 4
    kill_node(cluster, node)


class SeenThereError(Exception):
    """A trial has ended on the node that came."""


def test_a_node_that_comes_gets_trials_although_they_end_faster_than_a_process_starts(
    cluster: Cluster, runner: OnRay, tmp_path: Path
) -> None:
    study = open_study(tmp_path, 2000)
    added: list[Any] = []

    def add_a_node_and_look_for_it() -> None:
        ended = [record.result for record in study.trials() if record.result]
        if ended and not added:
            added.append(add_node(cluster))
        if any(added[0].node_id.startswith(each.node.split("/")[1]) for each in ended):
            raise SeenThereError

    with pytest.raises(SeenThereError):
        runner.run_trials(study, make_inputs(tmp_path), add_a_node_and_look_for_it)
    kill_node(cluster, added[0])


def test_trials_for_a_type_of_gpu_share_the_gpus_of_that_type(
    cluster: Cluster, runner: OnRay, tmp_path: Path
) -> None:
    others = add_node(cluster, num_gpus=1, resources={"accelerator_type:T4": 1})
    wanted = add_node(cluster, **A10G)
    for number in range(2):
        plan(tmp_path, number, epoch=3, do="wait")
    study = open_study(tmp_path, 3, trial=ON_A10G)

    def go_on_when_both_are_there() -> None:
        if all(len(stand_ins.trained(tmp_path, number)) == 2 for number in range(2)):
            (tmp_path / "go").touch()

    runner.run_trials(study, make_inputs(tmp_path), go_on_when_both_are_there)

    nodes = {record.result.node.split("/")[1] for record in study.trials() if record.result}
    assert wanted.node_id
    assert nodes == {wanted.node_id[:8]}
    for node in (others, wanted):
        kill_node(cluster, node)


def test_a_type_of_gpu_that_no_node_has_is_refused_before_anything_starts(runner: OnRay) -> None:
    asked = WorkersConfig(gpus_per_worker=1, accelerator_type="H100")
    with pytest.raises(ClusterError, match=r"resources\.trial asks .* 1 GPUs of type H100") as no:
        runner.check(ResourcesConfig(trial=asked))
    assert "change accelerator_type" in str(no.value)


def test_recordings_are_read_where_the_labels_say_and_not_on_gpu_nodes(
    cluster: Cluster, runner: OnRay
) -> None:
    # Ray avoids GPU nodes while others have room. Workers keep their CPUs for a moment after the
    # last task: the readers have room for these, too.
    readers = add_node(cluster, num_cpus=12, labels={"pool": "readers"})
    trainers = add_node(cluster, num_cpus=2, **A10G)
    ingest = IngestResourcesConfig(cpus_per_task=1, node_labels={"pool": "readers"})
    runner.check(ResourcesConfig(ingest=ingest))
    assert set(runner.map(stand_ins.node_of, range(6))) == {readers.node_id}

    runner.check(ResourcesConfig())
    assert trainers.node_id not in set(runner.map(stand_ins.node_of, range(3)))

    with pytest.raises(ClusterError, match=r"resources\.ingest needs .* pool: writers"):
        runner.check(ResourcesConfig(ingest=IngestResourcesConfig(node_labels={"pool": "writers"})))
    for node in (readers, trainers):
        kill_node(cluster, node)


def test_who_drives_workers_sits_on_the_head_or_on_a_node_marked_safe(
    cluster: Cluster, runner: OnRay
) -> None:
    spot = add_node(cluster, num_cpus=4)
    assert cluster.head_node
    assert _node_of_driver() == cluster.head_node.node_id
    safe = add_node(cluster, labels={SAFE_LABEL: "true"})
    assert _node_of_driver() == safe.node_id
    for node in (spot, safe):
        kill_node(cluster, node)


def _node_of_driver() -> str:
    group = placement_group(**of_driver())
    ray.get(group.ready(), timeout=PATIENCE_S)
    table: Any = placement_group_table(group)
    [node_id] = table["bundles_to_node_id"].values()
    ray.util.remove_placement_group(group)
    return node_id
