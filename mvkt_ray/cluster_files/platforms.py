"""The platforms of rendered cluster files, one row each.

A row has the template in `cluster/`, the keys of `--set`, and the origin of machines.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mvkt_ray.cluster_files.machines import HEAD_CPUS
from mvkt_ray.cluster_files.settings import Setting
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import did_you_mean

Machines = Literal["instances", "pods", "nodes"]
"""Origin of machines: a cloud's list, pods sized for the study, or existing nodes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """A platform, with the settings for rendering its file."""

    template: str
    what: str
    machines: Machines
    settings: tuple[Setting, ...]
    store_scheme: str | None = None
    """Scheme of the store to which the cluster's identity gives access; None: any storage."""


_COMMON = (
    Setting("name", "name of the cluster", "", "name"),
    Setting("data", "location of the recordings or shards; not needed for synthetic data", ""),
    Setting("out", "location of the study; every node must see it"),
)
_IMAGES = (
    Setting("image", "container image with mvkt-ray, of the Dockerfile's target cpu or gpu"),
    Setting("gpu_image", "image of the GPU nodes; by default the same", ""),
)
_WORKERS = (
    Setting("min_cpu_nodes", "CPU nodes that are kept when idle", "0", "count"),
    Setting("max_cpu_nodes", "most CPU nodes; by default as many as the study needs", "", "count"),
    Setting(
        "max_gpu_nodes",
        "most nodes of each GPU group; by default as many as the study needs",
        "",
        "count",
    ),
    Setting("idle_minutes", "time after which an idle node is released", "5", "count"),
)
_CLOUD = (
    *_COMMON,
    *_IMAGES,
    *_WORKERS,
    Setting("spot", "rent workers as spot machines", "yes", "flag"),
    Setting("head_instance", f"machine of the head; by default with {HEAD_CPUS:g} CPUs", ""),
    Setting("cpu_instance", "machine of the CPU nodes; by default the cheapest that fits", ""),
    Setting("gpu_instance", "machine of the GPU nodes; by default the cheapest that fits", ""),
    Setting("disk_gib", "disk of a node", "200", "count"),
    Setting("token_file", "Ray's token on the machine that launches", "~/.ray/auth_token"),
)
_KUBERAY = (
    *_COMMON,
    *_IMAGES,
    *_WORKERS,
    Setting("namespace", "Kubernetes namespace", "default"),
    Setting("service_account", "Kubernetes service account of all pods", "mvkt-ray", "name"),
    Setting(
        "identity",
        "cloud identity of the service account, as ANNOTATION=VALUE, for example "
        "eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/mvkt-ray",
        "",
    ),
    Setting("pvc", "claim of a shared volume, mounted at /mnt/mvkt; empty: object store only", ""),
    Setting("queue", "Kueue's local queue", ""),
    Setting("token_secret", "Secret with key auth_token; by default KubeRay makes one", ""),
    Setting("cpus_per_pod", "CPUs of a pod without GPUs; at least one worker's", "8", "count"),
    Setting("gpus_per_pod", "GPUs of a pod; by default those of one worker", "", "count"),
    Setting(
        "gpu_node_selector",
        "node labels KEY=VALUE of the GPU nodes, with commas; TYPE:KEY=VALUE for one GPU type",
        "",
        "list",
    ),
    Setting("spot_node_selector", "node labels KEY=VALUE of spot nodes for workers", "", "list"),
)
_MACHINE = (
    Setting("cpus_per_node", "CPUs of a node", None, "count"),
    Setting("memory_gib_per_node", "memory of a node; empty: not checked", "", "count"),
    Setting("gpus_per_node", "GPUs of a node", "0", "count"),
    Setting("gpu", "Ray's name of the GPUs, for example A100", ""),
)

PLATFORMS: Mapping[str, Platform] = {
    "aws": Platform(
        template="aws/cluster.yaml.j2",
        what="Ray's cluster launcher on EC2",
        machines="instances",
        store_scheme="s3://",
        settings=(
            *_CLOUD,
            Setting("region", "AWS region", "us-east-1"),
            Setting("head_profile", "instance profile of the head: EC2, iam:PassRole, the bucket"),
            Setting("worker_profile", "instance profile of the workers: the bucket"),
            Setting("vm_image", "AMI with Docker and NVIDIA's driver; empty: Ray's own choice", ""),
        ),
    ),
    "gcp": Platform(
        template="gcp/cluster.yaml.j2",
        what="Ray's cluster launcher on Compute Engine",
        machines="instances",
        store_scheme="gs://",
        settings=(
            *_CLOUD,
            Setting("project_id", "Google Cloud project"),
            Setting("region", "region", "us-central1"),
            Setting("zone", "zone", "us-central1-a"),
            Setting("head_account", "e-mail of the head's service account: machines, the bucket"),
            Setting("worker_account", "e-mail of the workers' service account: the bucket"),
            Setting(
                "vm_image",
                "image with Docker and NVIDIA's driver",
                "projects/deeplearning-platform-release/global/images/family/"
                "common-cu128-ubuntu-2204-nvidia-570",
            ),
        ),
    ),
    "azure": Platform(
        template="azure/cluster.yaml.j2",
        what="Ray's cluster launcher on Azure",
        machines="instances",
        store_scheme="abfss://",
        settings=(
            *_CLOUD,
            Setting("subscription_id", "Azure subscription"),
            Setting("location", "region", "eastus"),
            Setting("resource_group", "resource group of the cluster", "mvkt-ray"),
            Setting("identity", "user-assigned managed identity of all nodes"),
            Setting("identity_group", "resource group of that identity"),
            Setting(
                "vm_image",
                "PUBLISHER:OFFER:SKU of an image with Docker and NVIDIA's driver",
                "microsoft-dsvm:ubuntu-hpc:2204",
            ),
        ),
    ),
    "on-premise": Platform(
        template="on-premise/cluster.yaml.j2",
        what="Ray's cluster launcher on machines reached by SSH",
        machines="nodes",
        settings=(
            *_COMMON,
            *_MACHINE,
            Setting("head_ip", "address of the head"),
            Setting("worker_ips", "addresses of the workers, with commas", None, "list"),
            Setting("ssh_user", "user on all machines"),
            Setting("ssh_key", "private key on the machine that launches", "~/.ssh/id_ed25519"),
            Setting(
                "venv", "virtual environment with mvkt-ray, on every machine", "~/mvkt-ray", "path"
            ),
            Setting("token_file", "Ray's token on the machine that launches", "~/.ray/auth_token"),
        ),
    ),
    "kuberay-job": Platform(
        template="kubernetes/rayjob.yaml.j2",
        what="KubeRay: one search as a job with a cluster of its own",
        machines="pods",
        settings=(
            *_KUBERAY,
            Setting("retries", "how often a failed job is restarted", "2", "count"),
        ),
    ),
    "kuberay-cluster": Platform(
        template="kubernetes/raycluster.yaml.j2",
        what="KubeRay: a permanent cluster, for mvkt cluster submit",
        machines="pods",
        settings=_KUBERAY,
    ),
    "slurm": Platform(
        template="slurm/search.sbatch.j2",
        what="Slurm: a search as a job that requeues itself until it is done",
        machines="nodes",
        settings=(
            *_COMMON,
            *_MACHINE,
            Setting("nodes", "nodes of the job", None, "count"),
            Setting("time", "time limit of each start, as sbatch takes it; empty: Slurm's", ""),
            Setting("partition", "partition; empty: Slurm's default", ""),
            Setting("account", "account to charge; empty: the user's default", ""),
            Setting(
                "venv", "virtual environment with mvkt-ray, on every node", "~/mvkt-ray", "path"
            ),
            Setting("setup", "first shell line of the script, such as module load cuda", ""),
            Setting(
                "interface",
                "network device between the nodes, such as ib0; or Ray's own choice",
                "",
            ),
            Setting(
                "stop_before_s", "how long before its time limit the job stops", "300", "count"
            ),
            Setting("join_within_s", "how long nodes may take to join", "600", "count"),
            Setting("max_restarts", "how often the job may be requeued", "50", "count"),
        ),
    ),
}
"""Platforms by their name for `mvkt cluster render`."""


def find_platform(name: str) -> Platform:
    """Return the row of a platform.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in PLATFORMS:
        hint = did_you_mean(name, PLATFORMS)
        raise ConfigError(f"PLATFORM {name!r}: there is no such platform; {hint}")
    return PLATFORMS[name]
