"""`mvkt cluster check` refuses what would not start, what leaks, and what a study does not fit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering import PAPER, SETTINGS, read_text, rendered, study_text
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.cluster_files.cluster_fit import check_fit
from mvkt_ray.cluster_files.platforms import PLATFORMS
from mvkt_ray.config.study_file import read_study
from mvkt_ray.errors import ClusterError, ConfigError
from mvkt_ray.slots import Node

KUBERAY = ["kuberay-job", "kuberay-cluster"]

BATCH = """#!/bin/bash
#SBATCH --job-name=search --nodes=2
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH -c 16
#SBATCH --gres=gpu:a100:4
#SBATCH --mem=128G
#SBATCH --time=1-12:00:00
srun hostname
"""


def mvkt(*args: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(arg) for arg in args], env={"COLUMNS": "200"})
    return done.exit_code, done.stdout + done.stderr


def edited(text: str, edit: Callable[[Any], None]) -> str:
    """Change the last document of a file, which is Ray's."""
    documents = list(yaml.safe_load_all(text))
    edit(documents[-1])
    return yaml.safe_dump_all(documents)


def spec_of(document: Any) -> Any:
    return document["spec"].get("rayClusterSpec", document["spec"])


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_was_rendered_is_found_valid_and_fitting(platform: str, tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    pairs = [
        arg for key, value in SETTINGS[platform].items() for arg in ("--set", f"{key}={value}")
    ]
    code, said = mvkt("cluster", "render", platform, "--study", PAPER, *pairs, "--out", file)
    assert code == 0, said
    code, said = mvkt("cluster", "check", file, "--study", PAPER)
    assert code == 0, said
    assert "paper fits" in said
    code, said = mvkt("cluster", "check", file, "--study", PAPER, "--json")
    assert code == 0
    groups = yaml.safe_load(said)["node_groups"]
    assert any(group["slots_per_node"]["trial"] for group in groups)


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    file.write_text("mine")
    code, said = mvkt("cluster", "render", "aws", "--study", PAPER, "--out", file)
    assert code == 2
    assert "exists" in said
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["mars", "--study", PAPER], ["'mars'", "kuberay-job"]),
        (["aws"], ["--study"]),
        (["aws", "--study", PAPER, "--set", "image"], ["KEY=VALUE"]),
        (["aws", "--study", "nowhere.yaml"], ["nowhere.yaml"]),
        (["aws", "--study", PAPER], ["--set image=", "--set head_profile=", "--set out="]),
    ],
)
def test_a_wrong_line_writes_nothing(args: list[Any], words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "cluster.yaml"
    code, said = mvkt("cluster", "render", *args, "--out", file)
    assert code == 2
    for word in words:
        assert word in said
    assert not file.exists()


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_keys_of_a_platform_are_told(platform: str) -> None:
    code, said = mvkt("cluster", "render", platform, "--keys")
    assert code == 0
    for setting in PLATFORMS[platform].settings:
        assert setting.name in said


@pytest.mark.parametrize("platform", ["gcp", "kuberay-job"])
@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("AKIAIOSFODNN7EXAMPLE", "AWS access key"),
        ("aws_secret_access_key = wJalrXUtnFEMI", "AWS secret key"),
        ("DefaultEndpointsProtocol=https;AccountKey=abc==", "Azure account key"),
        ("https://a.blob.core.windows.net/b?sv=1&sig=abcdefabcdefabcdef12", "signature"),
        ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
        ("export RAY_AUTH_TOKEN=0123456789abcdef", "Ray token"),
        ("- {name: RAY_AUTH_TOKEN, value: 0123}", "Ray token"),
        ("WANDB_API_KEY: 0123", "API key"),
    ],
)
def test_a_key_in_a_file_is_refused_without_being_repeated(
    platform: str, line: str, what: str, tmp_path: Path
) -> None:
    text = rendered(platform) + f"# {line}\n"
    with pytest.raises(ConfigError, match=what) as refused:
        read_text(text, tmp_path)
    assert f"line {text.count(chr(10))}" in str(refused.value)
    assert line not in str(refused.value)


def drop(*path: str) -> Callable[[Any], None]:
    def edit(value: Any) -> None:
        for key in path[:-1]:
            value = value[key]
        del value[path[-1]]

    return edit


def put(value: Any, *path: str) -> Callable[[Any], None]:
    def edit(owner: Any) -> None:
        for key in path[:-1]:
            owner = owner[key]
        owner[path[-1]] = value

    return edit


@pytest.mark.parametrize(
    ("platform", "edit", "words"),
    [
        ("aws", put(1, "max_worker"), ["max_worker", "launcher"]),
        ("aws", put("many", "max_workers"), ["max_workers", "many"]),
        ("aws", drop("docker", "image"), ["image"]),
        ("aws", put({}, "docker"), ["docker.image is missing", "Dockerfile"]),
        ("aws", put("boss", "head_node_type"), ["head_node_type"]),
        ("gcp", put("mars", "provider", "type"), ["mars"]),
        ("aws", put(20, "available_node_types", "gpu", "min_workers"), ["min_workers"]),
        ("azure", drop("available_node_types", "gpu", "node_config"), ["node_config"]),
        ("on-premise", drop("provider", "head_ip"), ["head_ip"]),
        ("on-premise", drop("metadata"), ["metadata", "cpus"]),
    ],
)
def test_a_wrong_launcher_file_is_refused_as_ray_would(
    platform: str, edit: Callable[[Any], None], words: list[str], tmp_path: Path
) -> None:
    text = edited(rendered(platform), edit)
    with pytest.raises(ConfigError) as refused:
        read_text(text, tmp_path)
    for word in words:
        assert word in str(refused.value)


def in_cluster(edit: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda document: edit(spec_of(document))


def in_gpu_group(edit: Callable[[Any], None]) -> Callable[[Any], None]:
    return lambda document: edit(spec_of(document)["workerGroupSpecs"][1])


def in_gpu_pod(edit: Callable[[Any], None]) -> Callable[[Any], None]:
    return in_gpu_group(lambda group: edit(group["template"]["spec"]))


def in_gpu_container(edit: Callable[[Any], None]) -> Callable[[Any], None]:
    return in_gpu_pod(lambda pod: edit(pod["containers"][0]))


@pytest.mark.parametrize("platform", KUBERAY)
@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (put("ray.io/v1alpha1", "apiVersion"), ["ray.io/v1alpha1"]),
        (in_cluster(put([], "workerGroupSpec")), ["did you mean 'workerGroupSpecs'"]),
        (in_cluster(put({"mode": "disabled"}, "authOptions")), ["authOptions.mode", "token"]),
        (in_cluster(drop("rayVersion")), ["rayVersion"]),
        (in_cluster(drop("headGroupSpec")), ["headGroupSpec"]),
        (in_gpu_group(put(9, "minReplica")), ["did you mean 'minReplicas'"]),
        (in_gpu_group(put(99, "minReplicas")), ["99", "maxReplicas"]),
        (in_gpu_group(put("cpu", "groupName")), ["'cpu'", "twice"]),
        (in_gpu_group(put({"num-cpus": "2"}, "rayStartParams")), ["rayStartParams", "resources"]),
        (in_gpu_group(put({"labels": "a=b"}, "rayStartParams")), ["rayStartParams.labels"]),
        (in_gpu_group(put(4, "resources", "CPU")), ["resources.CPU", 'write "4"']),
        (put("Paper_1", "metadata", "name"), ["Paper_1", "lower-case"]),
        (in_gpu_group(put("8", "resources", "GPU")), ["8 GPUs", "the pod gets 1"]),
        (in_gpu_pod(put("Always", "restartPolicy")), ["restartPolicy", "Always"]),
        (in_gpu_container(drop("image")), ["image", "Dockerfile"]),
        (in_gpu_container(put({}, "resources")), ["limits.memory"]),
        (in_gpu_container(put("lots", "resources", "limits", "memory")), ["lots", "16Gi"]),
    ],
)
def test_a_wrong_manifest_is_refused_as_the_operator_would(
    platform: str, edit: Callable[[Any], None], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_text(edited(rendered(platform), edit), tmp_path)
    for word in words:
        assert word in str(refused.value)


def test_a_batch_script_is_read(tmp_path: Path) -> None:
    (group,) = read_text(BATCH, tmp_path).groups
    assert group.node == Node(
        group="node", cpus=16, gpus=4, accelerator_type="A100", memory_gib=128
    )
    assert group.min_nodes == group.max_nodes == 2


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("srun hostname", "if true; then", ["bash"]),
        ("--nodes", "--node", ["did you mean '--nodes'"]),
        ("--nodes=2", "--nodes=two", ["--nodes=two"]),
        ("1-12:00:00", "soon", ["--time=soon"]),
        ("gpu:a100:4", "four", ["--gres=four"]),
        ("128G", "much", ["--mem=much"]),
        ("srun hostname", "srun hostname\n#SBATCH --requeue", ["line 10", "ignores"]),
    ],
)
def test_a_wrong_batch_script_is_refused(
    old: str, new: str, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_text(BATCH.replace(old, new), tmp_path)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("text", ["", "a: 1\n", "- 1\n", "kind: Pod\n", "{{{", "a: 1\na: 2\n"])
def test_what_is_no_cluster_file_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cluster-file"):
        read_text(text, tmp_path)


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"trial": {"cpus_per_worker": 9}}, ["resources.trial", "9 CPUs", "up to 1 nodes"]),
        ({"teacher": {"workers": 9, "gpus_per_worker": 1}}, ["resources.teacher", "9 workers"]),
        (
            {"trial": {"gpus_per_worker": 1, "accelerator_type": "H100"}},
            ["resources.trial", "'H100'", "T4"],
        ),
        (
            {"students": {"xresnet1d18": {"cpus_per_worker": 9}}},
            ["resources.students.xresnet1d18", "9 CPUs"],
        ),
        ({"ingest": {"node_labels": {"disk": "fast"}}}, ["node_labels", "fast", "cpu, gpu"]),
    ],
)
def test_a_study_that_does_not_fit_is_told_what_it_lacks(
    resources: dict[str, Any], words: list[str], tmp_path: Path
) -> None:
    file, study = tmp_path / "aws.yaml", tmp_path / "study.yaml"
    file.write_text(rendered("aws"))
    study.write_text(study_text(**resources))
    code, said = mvkt("cluster", "check", file, "--study", study)
    assert code == 2
    said = " ".join(said.split())
    for word in ["aws.yaml", *words]:
        assert word in said


def test_an_elastic_teacher_needs_room_for_its_least_workers_only(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(study_text(teacher={"workers": [1, 64], "gpus_per_worker": 1}))
    groups = read_text(rendered("aws"), tmp_path).groups
    check_fit(read_study(study).resources, groups, "aws")
    study.write_text(study_text(teacher={"workers": 64, "gpus_per_worker": 1}))
    with pytest.raises(ClusterError):
        check_fit(read_study(study).resources, groups, "aws")
