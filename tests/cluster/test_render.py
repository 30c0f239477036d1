"""A rendered cluster gives what the study asks for, at every platform, whatever the study asks."""

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from rendering import PAPER, ROOT, SETTINGS, STUDIES, read_text, rendered, study_text
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.cluster_files.cluster_fit import check_fit
from mvkt_ray.cluster_files.instances import read_instances
from mvkt_ray.cluster_files.needs import Need, needs_of
from mvkt_ray.cluster_files.node_groups import NodeGroup
from mvkt_ray.cluster_files.platforms import PLATFORMS
from mvkt_ray.config.study_file import read_prices, read_study
from mvkt_ray.errors import ClusterError, ConfigError

CLOUDS = ["aws", "gcp", "azure"]
GROWING = [platform for platform, row in PLATFORMS.items() if row.machines != "nodes"]
"""Places whose size follows from the study."""


def holds_at_once(groups: Sequence[NodeGroup], need: Need) -> bool:
    """Count by hand whether all workers of a need find a CPU and a GPU at the same time."""
    room = 0
    for group in groups:
        if not group.node.has_labels(need.labels):
            continue
        wanted = need.workers.accelerator_type
        if wanted is not None and wanted != group.node.accelerator_type:
            continue
        by_cpu = math.floor(group.node.cpus / need.workers.cpus + 1e-9)
        gpus = need.workers.gpus_per_worker
        by_gpu = by_cpu
        if 0 < gpus < 1:
            by_gpu = int(group.node.gpus) * math.floor(1 / gpus + 1e-9)
        elif gpus >= 1:
            by_gpu = int(group.node.gpus // gpus)
        room += min(by_cpu, by_gpu) * group.max_nodes
    return room >= need.n_workers


@pytest.mark.parametrize("study_file", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_search_space_gets_a_cluster_that_holds_it(
    platform: str, study_file: Path, tmp_path: Path
) -> None:
    found = read_text(rendered(platform, study_file), tmp_path)
    study = read_study(study_file)
    check_fit(study.resources, found.groups, "rendered")
    if platform in GROWING:
        assert all(holds_at_once(found.groups, need) for need in needs_of(study))


workers = st.fixed_dictionaries(
    {
        "workers": st.sampled_from([1, 1, 2, 4, [1, 4], 8]),
        "cpus_per_worker": st.sampled_from([0.5, 1, 1.5, 3, 4, 12, 31, 250]),
        "gpus_per_worker": st.sampled_from([0, 0, 1, 2, 8]),
    }
)
on_gpus = st.fixed_dictionaries(
    {
        "cpus_per_worker": st.sampled_from([0.25, 1, 4]),
        "gpus_per_worker": st.sampled_from([0.1, 0.25, 1 / 3, 0.5, 1]),
        "accelerator_type": st.sampled_from([None, "T4", "L4", "A100", "H100"]),
    }
)
any_resources = st.fixed_dictionaries(
    {"trial": workers | on_gpus, "teacher": workers | on_gpus},
    optional={
        "students": st.fixed_dictionaries({"xresnet1d18": workers | on_gpus}),
        "max_concurrent_trials": st.integers(1, 40),
        "ingest": st.sampled_from(
            [
                {"cpus_per_task": 2},
                {"node_labels": {"pool": "readers", "zone": "near-the-bucket"}},
                {"node_labels": {"zone": "near-the-bucket"}},
            ]
        ),
    },
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(platform=st.sampled_from(GROWING), resources=any_resources)
@example(platform="aws", resources={"ingest": {"node_labels": {"zone": "near-the-bucket"}}})
@example(platform="kuberay-job", resources={"ingest": {"node_labels": {"zone": "near-the-bucket"}}})
def test_a_rendered_cluster_always_holds_what_the_study_asks(
    platform: str, resources: dict[str, Any], tmp_path: Path
) -> None:
    study_file = tmp_path / "study.yaml"
    study_file.write_text(study_text(**resources))
    needs = needs_of(read_study(study_file))
    # Pods are cut to whatever size is asked for; clouds have their list of machines.
    if platform in CLOUDS and not all(is_for_rent(platform, need) for need in needs):
        with pytest.raises(ConfigError, match=r"resources\.(trial|teacher|students\.)"):
            rendered(platform, study_file)
        return
    more = {"gpu_node_selector": "gpu=yes"} if platform not in CLOUDS else {}
    text = rendered(platform, study_file, **more)
    groups = read_text(text, tmp_path).groups
    for need in needs:
        assert holds_at_once(groups, need), need
    head = next(group for group in groups if group.is_head)
    assert head.node.cpus == head.node.gpus == 0, "trials must not land beside the driver"


def is_for_rent(platform: str, need: Need) -> bool:
    """Whether any machine of the table holds one worker, read from the table itself."""
    wanted = need.workers
    return any(
        machine.node.cpus >= wanted.cpus
        and machine.node.gpus >= wanted.gpus_per_worker
        and bool(machine.node.gpus) == bool(wanted.gpus_per_worker)
        and wanted.accelerator_type in (None, machine.node.accelerator_type)
        and (machine.node.memory_gib or 0) >= 5
        for machine in read_instances(ROOT / "cluster" / "instances.csv", platform).values()
    )


@pytest.mark.parametrize("platform", GROWING)
def test_a_label_that_only_running_nodes_have_needs_a_node_that_is_kept(
    platform: str, tmp_path: Path
) -> None:
    study_file = tmp_path / "study.yaml"
    study_file.write_text(study_text(ingest={"node_labels": {"ray.io/node-group": "readers"}}))
    with pytest.raises(ClusterError, match=r"ray.io/node-group.*min_cpu_nodes=1"):
        rendered(platform, study_file)
    groups = read_text(rendered(platform, study_file, min_cpu_nodes="1"), tmp_path).groups
    assert [(group.name, group.min_nodes) for group in groups if not group.is_head] == [
        ("readers", 1)
    ]


@pytest.mark.parametrize("platform", CLOUDS)
def test_the_cheapest_machine_that_fits_is_rented(platform: str, tmp_path: Path) -> None:
    groups = {group.name: group for group in read_text(rendered(platform), tmp_path).groups}
    machines = read_instances(ROOT / "cluster" / "instances.csv", platform)
    study = read_study(PAPER)
    prices = [
        machine.price_per_hour
        for machine in machines.values()
        if machine.node.gpus == 1 and machine.node.cpus >= study.resources.trial.cpus
    ]
    assert groups["gpu"].price_per_hour == min(price for price in prices if price)


def test_teacher_and_trials_on_different_gpus_get_two_groups(tmp_path: Path) -> None:
    study_file = tmp_path / "study.yaml"
    study_file.write_text(
        study_text(
            trial={"gpus_per_worker": 0.25, "accelerator_type": "T4"},
            teacher={"workers": 8, "gpus_per_worker": 1, "accelerator_type": "A100"},
        )
    )
    groups = {g.name: g for g in read_text(rendered("aws", study_file), tmp_path).groups}
    assert groups["gpu-trial"].node.accelerator_type == "T4"
    assert groups["gpu-teacher"].node.accelerator_type == "A100"
    assert groups["gpu-teacher"].max_nodes * groups["gpu-teacher"].node.gpus >= 8


def test_a_network_with_workers_of_its_own_gets_nodes_for_them(tmp_path: Path) -> None:
    study_file = tmp_path / "study.yaml"
    large = {"gpus_per_worker": 2, "accelerator_type": "A100"}
    study_file.write_text(
        study_text(
            trial={"gpus_per_worker": 0.25, "accelerator_type": "T4"},
            students={"xresnet1d18": large},
            max_concurrent_trials=3,
        )
    )
    text = rendered("kuberay-job", study_file, gpu_node_selector="gpu=yes")
    assert "students.xresnet1d18: 3 x 1 worker with 1 CPU and 2 A100 GPUs" in text
    groups = {group.name: group for group in read_text(text, tmp_path).groups}
    own = groups["gpu-students-xresnet1d18"]
    assert (own.node.gpus, own.node.accelerator_type, own.max_nodes) == (2, "A100", 3)


@pytest.mark.parametrize("platform", CLOUDS)
def test_the_file_has_the_prices_that_a_search_takes(platform: str, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text(rendered(platform))
    priced = read_prices(file).node_types
    groups = read_text(file.read_text(), tmp_path).groups
    assert set(priced) == {group.name for group in groups}
    for group in groups:
        assert priced[group.name].price_per_hour == group.price_per_hour
        assert priced[group.name].accelerator_type == group.node.accelerator_type


@pytest.mark.parametrize("platform", CLOUDS)
def test_workers_are_spot_machines_unless_told_otherwise_and_the_head_never(platform: str) -> None:
    words = {"aws": "MarketType: spot", "gcp": "SPOT", "azure": "priority: Spot"}[platform]
    spot, on_demand = rendered(platform), rendered(platform, spot="no")
    assert words in spot
    assert words not in on_demand
    head = yaml.safe_load(spot)["available_node_types"]["head"]
    assert "spot" not in str(head).lower()


def test_workers_may_reach_the_bucket_and_rent_no_machines() -> None:
    aws = yaml.safe_load(rendered("aws"))["available_node_types"]
    who = {name: row["node_config"]["IamInstanceProfile"]["Name"] for name, row in aws.items()}
    assert who == {"head": "mvkt-head", "cpu": "mvkt-node", "gpu": "mvkt-node"}
    gcp = yaml.safe_load(rendered("gcp"))["available_node_types"]
    accounts = {name: row["node_config"]["serviceAccounts"] for name, row in gcp.items()}
    assert accounts["cpu"] == accounts["gpu"]
    assert accounts["head"][0]["email"] == SETTINGS["gcp"]["head_account"]
    assert accounts["gpu"][0]["email"] == SETTINGS["gcp"]["worker_account"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_token_is_asked_for_and_is_not_in_the_file(platform: str) -> None:
    text = rendered(platform)
    assert "RAY_AUTH_MODE=token" in text
    assert "auth_token" in text.lower() or "mode: token" in text


@settings(max_examples=60)
@given(value=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=30))
def test_a_value_never_becomes_yaml(value: str) -> None:
    text = rendered("aws", region=value)
    assert yaml.safe_load(text)["provider"]["region"] == value


def test_in_json_it_says_what_it_wrote_and_what_may_be_set(tmp_path: Path) -> None:
    def answer(*words: object) -> Any:
        line = ["cluster", "render", "slurm", *map(str, words), "--json"]
        done = CliRunner().invoke(app, line)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert set(SETTINGS["slurm"]) <= {each["key"] for each in answer("--keys")["keys"]}
    given = [word for pair in SETTINGS["slurm"].items() for word in ("--set", "=".join(pair))]
    shown = answer("--study", PAPER, *given)["content"]
    written = answer("--study", PAPER, *given, "--out", tmp_path / "job")
    assert written["file"] == str(tmp_path / "job")
    assert (tmp_path / "job").read_text() == shown


def test_the_same_line_gives_the_same_file() -> None:
    assert rendered("kuberay-job") == rendered("kuberay-job")


def test_a_study_that_stands_on_another_is_sent_whole(tmp_path: Path) -> None:
    (tmp_path / "below.yaml").write_text(study_text(trial={"cpus_per_worker": 2}))
    study_file = tmp_path / "study.yaml"
    study_file.write_text("base: below.yaml\nname: above\n")
    documents = list(yaml.safe_load_all(rendered("kuberay-job", study_file)))
    (config_map,) = [doc for doc in documents if doc["kind"] == "ConfigMap"]
    (tmp_path / "sent.yaml").write_text(config_map["data"]["study.yaml"])
    assert read_study(tmp_path / "sent.yaml") == read_study(study_file)


def test_a_task_file_is_sent_to_pods_beside_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    task = "  # indented, with a \ttab\n  name: 'it''s \"mine\"'\n  classes: {AF: [AFIB]}\n"
    Path("my_task.yaml").write_text(task)
    Path("study.yaml").write_text("name: mine\ndata: {task: my_task.yaml}\n")
    job = list(yaml.safe_load_all(rendered("kuberay-job", Path("study.yaml"))))
    (sent,) = [document["data"] for document in job if document["kind"] == "ConfigMap"]
    assert set(sent) == {"study.yaml", "task.yaml"}
    assert sent["task.yaml"] == task
    (spec,) = [document["spec"] for document in job if document["kind"] == "RayJob"]
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    (folder,) = [
        mount["mountPath"]
        for mount in head["containers"][0]["volumeMounts"]
        if mount["name"] == "study-file"
    ]
    Path("sent.yaml").write_text(sent["study.yaml"])
    assert read_study("sent.yaml").data.task == f"{folder}/task.yaml"
    assert spec["entrypoint"].split()[2] == f"{folder}/study.yaml"


@pytest.mark.parametrize(
    ("platform", "labels", "words"),
    [
        ("kuberay-job", "/home/me/labels.csv", ["data.source_options.labels", "/mnt/mvkt"]),
        ("aws", "/home/me/labels.csv", ["data.source_options.labels", "s3://"]),
        ("kuberay-job", "labels/mine.csv", []),
        ("slurm", "/shared/labels.csv", []),
    ],
)
def test_a_table_of_labels_that_nodes_do_not_see_is_refused(
    platform: str, labels: str, words: list[str], tmp_path: Path
) -> None:
    study_file = tmp_path / "study.yaml"
    data = {"source": "wfdb", "task": "all", "source_options": {"labels": labels}}
    study_file.write_text(yaml.safe_dump({"name": "mine", "data": data}))
    with pytest.raises(ConfigError) if words else contextlib.nullcontext() as refused:
        rendered(platform, study_file)
    for word in words:
        assert refused is not None
        assert word in str(refused.value)


def test_a_task_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    study_file = tmp_path / "study.yaml"
    study_file.write_text("name: mine\ndata: {task: no_task.yaml}\n")
    with pytest.raises(ConfigError, match=r"no_task\.yaml cannot be read: .* data\.task"):
        rendered("kuberay-job", study_file)


@pytest.mark.parametrize(
    ("platform", "more", "words"),
    [
        ("aws", {"regin": "x"}, ["regin", "did you mean 'region'"]),
        ("aws", {"image": ""}, ["--set image=", "Dockerfile"]),
        ("gcp", {"project_id": " "}, ["--set project_id="]),
        ("azure", {"subscription_id": ""}, ["--set subscription_id="]),
        ("aws", {"out": ""}, ["--set out="]),
        ("aws", {"data": ""}, ["--set data=", "ptbxl"]),
        ("aws", {"out": "/home/me/runs"}, ["/home/me/runs", "s3://"]),
        ("gcp", {"out": "s3://bucket/runs"}, ["s3://bucket/runs", "gs://"]),
        ("kuberay-job", {"out": "/runs"}, ["/runs", "pvc"]),
        ("kuberay-job", {"out": "/runs", "pvc": "v"}, ["/runs", "/mnt/mvkt"]),
        ("aws", {"gpu_instance": "g5.huge"}, ["g5.huge", "g5.xlarge", "--instances"]),
        ("aws", {"gpu_instance": "m6i.large"}, ["m6i.large", "0 GPUs"]),
        ("aws", {"max_gpu_nodes": "many"}, ["many", "whole number"]),
        (
            "aws",
            {"min_cpu_nodes": "3", "max_cpu_nodes": "2"},
            ["min_cpu_nodes=3", "max_cpu_nodes=2"],
        ),
        ("aws", {"spot": "maybe"}, ["maybe", "yes or no"]),
        ("aws", {"name": "My Cluster"}, ["My Cluster", "lower-case"]),
        ("aws", {"region": "a\nb"}, ["region", "line break"]),
        ("on-premise", {"venv": "~/a b"}, ["~/a b", "spaces"]),
        ("on-premise", {"cpus_per_node": "2"}, ["resources.teacher", "4 CPUs", "2 CPUs"]),
        ("aws", {"max_gpu_nodes": "0"}, ["resources.teacher", "0 nodes"]),
        ("kuberay-job", {"gpu_node_selector": "gpu"}, ["'gpu'", "KEY=VALUE"]),
        ("kuberay-job", {"gpus_per_pod": "0"}, ["resources.teacher", "kuberay-job"]),
    ],
)
def test_what_cannot_be_rendered_is_said_in_one_paragraph(
    platform: str, more: dict[str, str], words: list[str]
) -> None:
    with pytest.raises((ConfigError, ClusterError)) as refused:
        rendered(platform, PAPER, **more)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ({"gpus_per_worker": 1, "accelerator_type": "A10"}, ["'A10'", "A10G", "no machine"]),
        ({"cpus_per_worker": 4000}, ["resources.trial", "4,000 CPUs", "64 CPUs"]),
        ({"gpus_per_worker": 16}, ["resources.trial", "16 GPUs", "8 GPUs"]),
    ],
)
def test_a_worker_that_no_machine_holds_is_refused(
    trial: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    study_file = tmp_path / "study.yaml"
    study_file.write_text(study_text(trial=trial))
    with pytest.raises(ConfigError) as refused:
        rendered("aws", study_file)
    for word in words:
        assert word in str(refused.value)


def test_kubernetes_must_be_told_which_nodes_have_the_gpu(tmp_path: Path) -> None:
    study_file = tmp_path / "study.yaml"
    gpus = {"gpus_per_worker": 1}
    trial, teacher = {**gpus, "accelerator_type": "L4"}, {**gpus, "accelerator_type": "A100"}
    study_file.write_text(study_text(trial=trial, teacher=teacher))
    with pytest.raises(ConfigError, match="gpu_node_selector=L4:KEY=VALUE"):
        rendered("kuberay-job", study_file, gpu_node_selector="A100:gpu=a100")
    text = rendered(
        "kuberay-job", study_file, gpu_node_selector="A100:gpu=a100, L4:gpu=l4, pool=gpu"
    )
    spec = list(yaml.safe_load_all(text))[-1]["spec"]["rayClusterSpec"]
    pods = {group["groupName"]: group["template"]["spec"] for group in spec["workerGroupSpecs"]}
    assert pods["gpu-trial"]["nodeSelector"] == {"gpu": "l4", "pool": "gpu"}
    assert pods["gpu-teacher"]["nodeSelector"] == {"gpu": "a100", "pool": "gpu"}
    assert "nodeSelector" not in pods["cpu"]


def test_an_own_table_of_machines_is_used(tmp_path: Path) -> None:
    from mvkt_ray.cluster_files.rendering import RenderRequest, render

    header = (ROOT / "cluster" / "instances.csv").read_text().splitlines()[3]
    table = tmp_path / "ours.csv"
    table.write_text(f"{header}\naws,ours.cpu,64,256,0,,1.0\naws,ours.gpu,64,256,8,B200,9.0\n")
    request = RenderRequest(
        platform="aws", study_file=PAPER, given=SETTINGS["aws"], instances=table
    )
    text = render(read_study(PAPER), request)
    assert "ours.gpu" in text
    assert f"--instances {table}" in text
    table.write_text(f"{header}\naws,ours.cpu,many,256,0,,1.0\n")
    with pytest.raises(ConfigError, match=r"ours\.cpu"):
        render(read_study(PAPER), request)
