"""What a person would say for each platform, and the whole way from a study to node groups."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mvkt_ray.cluster_files.platforms import PLATFORMS
from mvkt_ray.cluster_files.read_back import ClusterFile, read_cluster_file
from mvkt_ray.cluster_files.rendering import RenderRequest, render
from mvkt_ray.config.study_file import read_study
from mvkt_ray.on_ray.launcher_check import validate_launcher_file

ROOT = Path(__file__).parents[2]
STUDIES = sorted((ROOT / "search_spaces").glob("*.yaml"))
PAPER = ROOT / "search_spaces" / "paper.yaml"
IMAGE = {"image": "registry.example.com/mvkt-ray:0.4"}


def _store(scheme: str) -> dict[str, str]:
    return {"data": f"{scheme}bucket/ptb-xl", "out": f"{scheme}bucket/runs/one"}


SETTINGS: Mapping[str, Mapping[str, str]] = {
    "aws": {**IMAGE, **_store("s3://"), "head_profile": "mvkt-head", "worker_profile": "mvkt-node"},
    "gcp": {
        **IMAGE,
        **_store("gs://"),
        "project_id": "heart-1234",
        "head_account": "head@heart-1234.iam.gserviceaccount.com",
        "worker_account": "node@heart-1234.iam.gserviceaccount.com",
    },
    "azure": {
        **IMAGE,
        **_store("abfss://"),
        "subscription_id": "00000000-0000-0000-0000-000000000000",
        "identity": "mvkt-nodes",
        "identity_group": "mvkt-identities",
    },
    "on-premise": {
        "data": "/shared/ptb-xl",
        "out": "/shared/runs/one",
        "head_ip": "192.0.2.1",
        "worker_ips": "192.0.2.2, 192.0.2.3",
        "ssh_user": "heart",
        "cpus_per_node": "16",
        "gpus_per_node": "2",
    },
    "kuberay-job": {**IMAGE, **_store("s3://")},
    "kuberay-cluster": {**IMAGE, **_store("s3://")},
    "slurm": {
        "data": "/shared/ptb-xl",
        "out": "/shared/runs/one",
        "nodes": "3",
        "cpus_per_node": "16",
        "gpus_per_node": "2",
    },
}
"""The keys that must be given, for each platform."""


def rendered(platform: str, study_file: Path = PAPER, **more: str) -> str:
    """Render a platform for a study file."""
    assert set(SETTINGS) == set(PLATFORMS)
    request = RenderRequest(
        platform=platform, study_file=study_file, given={**SETTINGS[platform], **more}
    )
    return render(read_study(study_file), request)


def read_text(text: str, folder: Path) -> ClusterFile:
    """Write a text to a file, and read it as `mvkt cluster check` does."""
    file = folder / "cluster-file"
    file.write_text(text, encoding="utf-8")
    return read_cluster_file(file, validate_launcher_file)


def study_text(**resources: Any) -> str:
    """A small study with these resources."""
    import yaml

    return yaml.safe_dump(
        {"name": "tiny", "data": {"source": "ptbxl"}, "resources": resources}, sort_keys=False
    )
