"""What Ray's own autoscaler may start decides what is refused; it starts nodes on this machine."""

from collections.abc import Iterator

import pytest
from own_autoscaler import group, own_autoscaler
from ray.cluster_utils import Cluster

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.driver import OnRay

pytestmark = pytest.mark.ray

GROUPS = {
    "readers": group(1, CPU=1),
    "trainers": group(2, **{"CPU": 1, "GPU": 1, "accelerator_type:A10G": 1}),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with own_autoscaler(tmp_path_factory.mktemp("head"), GROUPS, max_workers=3) as cluster:
        yield cluster


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
    with OnRay.connect(cluster.address) as runner:
        runner.check(ResourcesConfig(trial=WorkersConfig(workers=2, gpus_per_worker=1)))
        with pytest.raises(ClusterError, match=text) as refused:
            runner.check(ResourcesConfig(trial=asked))
    assert "its autoscaler may add 1 readers with 1 CPUs and 0 GPUs, 2 trainers" in str(
        refused.value
    )
