"""A cluster with Ray's own autoscaler, which starts its nodes as processes on this machine."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import ray
import yaml
from own_cluster import own_cluster
from ray.cluster_utils import Cluster

from tests.patience import PATIENCE_S
from tests.ports import free_port

NOTHING_TO_RUN_ON = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
MEMORY = {"object_store_memory": 100_000_000}
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


def group(max_workers: int, **resources: float) -> dict[str, Any]:
    """Describe a group of nodes, of which there is none at first, as the launcher's file does."""
    return {
        "resources": {**resources, **MEMORY},
        "node_config": {},
        "min_workers": 0,
        "max_workers": max_workers,
    }


@contextlib.contextmanager
def own_autoscaler(
    folder: Path, groups: Mapping[str, dict[str, Any]], max_workers: int
) -> Iterator[Cluster]:
    """Run a head node without CPUs, whose autoscaler adds nodes, while this is entered.

    Args:
        folder: for the file that `ray up` leaves on a head node.
        groups: by name, see `group`.
        max_workers: nodes of all groups together.
    """
    port = free_port()
    path = _launcher_file(folder, port, groups, max_workers)
    environ = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
    scaling = {"no_monitor": False, "autoscaling_config": str(path)}
    with own_cluster(environ=environ, num_cpus=0, gcs_server_port=port, **scaling) as cluster:
        assert cluster.head_node is not None
        monitor = psutil.Process(cluster.head_node.all_processes["monitor"][0].process.pid)
        try:
            yield cluster
        finally:
            # The nodes that it has started outlive it, and are nobody else's to end. It is held
            # first: it may be about to start one more.
            monitor.suspend()
            started = monitor.children(recursive=True)
            for process in started:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            monitor.kill()
            psutil.wait_procs([monitor, *started], PATIENCE_S)


def _launcher_file(
    folder: Path, port: int, groups: Mapping[str, dict[str, Any]], max_workers: int
) -> Path:
    values: dict[str, Any] = {key: [] for key in EMPTY} | {
        "cluster_name": "fake",
        "max_workers": max_workers,
        "idle_timeout_minutes": 60,
        "provider": {
            "type": "fake_multinode",
            "gcs_address": f"{ray.util.get_node_ip_address()}:{port}",
            "launch_multiple": True,
            # In the background it starts more than are needed, and ends those above the maximum,
            # at work or not.
            "foreground_node_launch": True,
            # There is nobody to set a node up over SSH: those that it cannot set up it ends.
            "disable_node_updaters": True,
            # It knows nodes by their address, which here is the same for all.
            "use_node_id_as_ip": True,
        },
        "auth": {"ssh_user": "nobody"},
        "available_node_types": {"ray.head.default": NOTHING_TO_RUN_ON, **groups},
        "head_node_type": "ray.head.default",
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
    }
    path = folder / "ray_bootstrap_config.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
