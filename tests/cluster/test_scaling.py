"""Ray's own autoscaler, asked for the work of a study, starts the nodes of a rendered file."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.scheduler import ResourceDemandScheduler, SchedulingReply, SchedulingRequest
from ray.autoscaler.v2.utils import ResourceRequestUtil
from ray.core.generated.common_pb2 import (
    LabelSelectorOperator,  # pyright: ignore[reportAttributeAccessIssue]
)
from rendering import STUDIES, rendered, study_text

from mvkt_ray.cluster_files.needs import Need, needs_of
from mvkt_ray.cluster_files.platforms import PLATFORMS
from mvkt_ray.config.study_file import read_study

PLATFORMS_THAT_GROW = [name for name, platform in PLATFORMS.items() if platform.machines != "nodes"]


def autoscaling_config(text: str) -> AutoscalingConfig:
    """Read a file as the autoscaler on the head does."""
    value = list(yaml.safe_load_all(text))[-1]
    if "kind" in value:
        spec = value["spec"].get("rayClusterSpec", value["spec"])
        value = _derive_autoscaling_config_from_ray_cr(
            {"metadata": value["metadata"], "spec": spec}
        )
    return AutoscalingConfig(value, skip_content_hash=True)


def asked_of_autoscaler(text: str, need: Need) -> SchedulingReply:
    """Let all workers of a need wait for a platform, with no node there but the head."""
    workers = need.workers
    bundle = {"CPU": workers.cpus}
    if need.is_on_gpus:
        bundle["GPU"] = workers.gpus_per_worker
    if workers.accelerator_type:
        bundle[f"accelerator_type:{workers.accelerator_type}"] = 0.001
    selector = [
        (key, LabelSelectorOperator.LABEL_OPERATOR_IN, [value])
        for key, value in need.labels.items()
    ]
    waiting = ResourceRequestUtil.make(bundle, label_selectors=[selector] if selector else None)
    config = autoscaling_config(text)
    request = SchedulingRequest(
        disable_launch_config_check=True,
        node_type_configs=config.get_node_type_configs(),
        max_num_nodes=config.get_max_num_nodes(),
        resource_requests=ResourceRequestUtil.group_by_count([waiting] * need.n_workers),
    )
    return ResourceDemandScheduler().schedule(request)


def started(reply: SchedulingReply) -> Mapping[str, int]:
    assert reply.infeasible_resource_requests == []
    counts: Counter[str] = Counter()
    for launch in reply.to_launch:
        counts[launch.instance_type] += launch.count
    return counts


@pytest.mark.parametrize("study_file", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("platform", PLATFORMS_THAT_GROW)
def test_nodes_for_all_work_of_a_study_are_started(platform: str, study_file: Path) -> None:
    text = rendered(platform, study_file)
    for need in needs_of(read_study(study_file)):
        counts = started(asked_of_autoscaler(text, need))
        assert set(counts) == {"gpu" if need.is_on_gpus else "cpu"}


@pytest.mark.parametrize("platform", PLATFORMS_THAT_GROW)
def test_types_and_labels_lead_to_their_groups(platform: str, tmp_path: Path) -> None:
    study_file = tmp_path / "study.yaml"
    resources: dict[str, Any] = {
        "trial": {"gpus_per_worker": 0.25, "accelerator_type": "H100"},
        "teacher": {"workers": 2, "gpus_per_worker": 1, "accelerator_type": "A100"},
        "ingest": {"node_labels": {"pool": "readers", "disk": "fast"}},
        "max_concurrent_trials": 20,
    }
    study_file.write_text(study_text(**resources))
    more = {} if platform in ("aws", "gcp", "azure") else {"gpu_node_selector": "gpu=yes"}
    text = rendered(platform, study_file, **more)
    ingest, teacher, trial = needs_of(read_study(study_file))
    assert set(started(asked_of_autoscaler(text, ingest))) == {"cpu"}
    assert set(started(asked_of_autoscaler(text, teacher))) == {"gpu-teacher"}
    assert set(started(asked_of_autoscaler(text, trial))) == {"gpu-trial"}


@pytest.mark.parametrize("platform", PLATFORMS_THAT_GROW)
def test_a_label_of_rays_own_starts_no_node(platform: str, tmp_path: Path) -> None:
    """Why `fit` refuses it; when this fails, Ray has learned it and `fit` may allow it."""
    study_file = tmp_path / "study.yaml"
    study_file.write_text(study_text(ingest={"node_labels": {"ray.io/node-group": "readers"}}))
    text = rendered(platform, study_file, min_cpu_nodes="1").replace(
        "min_workers: 1", "min_workers: 0"
    )
    ingest, _, _ = needs_of(read_study(study_file))
    assert asked_of_autoscaler(text, ingest).infeasible_resource_requests
