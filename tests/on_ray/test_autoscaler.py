"""What Ray's own autoscaler may start decides what is refused; it starts nodes on this machine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import yaml
from own_cluster import own_cluster
from ray.cluster_utils import Cluster

from mvkt_ray.config_resources import ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.driver import OnRay
from tests.ports import free_port

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

NOTHING_TO_RUN_ON = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
MEMORY = {"object_store_memory": 100_000_000}
GROUPS = {
    "ray.head.default": NOTHING_TO_RUN_ON,
    "readers": {"resources": {"CPU": 1, **MEMORY}, "node_config": {}, "max_workers": 1},
    "trainers": {
        "resources": {"CPU": 1, "GPU": 1, "accelerator_type:A10G": 1, **MEMORY},
        "node_config": {},
        "max_workers": 2,
    },
}
EMPTY = (
    "cluster_synced_files",
    "head_setup_commands",
    "head_start_ray_commands",
    "initialization_commands",
    "rsync_exclude",
    "rsync_filter",
    "setup_commands",
    "worker_setup_commands",
    "worker_start_ray_commands",
)


def launcher_file(folder: Path, port: int) -> Path:
    """Write what `ray up` leaves on a head node, for the provider that starts local processes."""
    values: dict[str, Any] = {key: [] for key in EMPTY} | {
        "cluster_name": "fake",
        "max_workers": 3,
        "idle_timeout_minutes": 60,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": f"{ray.util.get_node_ip_address()}:{port}",
        },
        "auth": {"ssh_user": "nobody"},
        "available_node_types": GROUPS,
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
    }
    path = folder / "ray_bootstrap_config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    port = free_port()
    path = launcher_file(tmp_path_factory.mktemp("head"), port)
    environ = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
    with own_cluster(
        environ=environ, num_cpus=0, gcs_server_port=port, autoscaling_config=str(path)
    ) as cluster:
        assert cluster.head_node is not None
        monitor = psutil.Process(cluster.head_node.all_processes["monitor"][0].process.pid)
        try:
            yield cluster
        finally:
            # The nodes that it has started outlive it, and are nobody else's to end.
            started = monitor.children(recursive=True)
            monitor.suspend()
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            monitor.kill()
            psutil.wait_procs([monitor, *started], timeout=60)


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (WorkersConfig(gpus_per_worker=1, accelerator_type="H100"), "of type H100"),
        (WorkersConfig(workers=3, gpus_per_worker=1), "3 CPUs and 3 GPUs in all"),
    ],
)
def test_what_no_group_can_ever_give_is_refused_before_work_starts(
    cluster: Cluster, asked: WorkersConfig, text: str
) -> None:
    with OnRay.connect(cluster.address) as place:
        place.check(ResourcesConfig(trial=WorkersConfig(workers=2, gpus_per_worker=1)))
        with pytest.raises(ClusterError, match=text) as refused:
            place.check(ResourcesConfig(trial=asked))
    assert "its autoscaler may add 1 readers with 1 CPUs and 0 GPUs, 2 trainers" in str(
        refused.value
    )
