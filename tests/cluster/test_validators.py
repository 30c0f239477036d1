"""Every template is held to the validators of those who will read the file.

Ray's launcher: its own `validate_config`. EC2: botocore's model of RunInstances. Azure: the
parameters of Ray's own ARM template. KubeRay: the schemas of its resources, with unknown fields
refused, and Ray's reading of them for its autoscaler.
"""

import json
from importlib import util
from pathlib import Path
from typing import Any

import botocore.session
import jsonschema
import pytest
import yaml
from botocore.validate import ParamValidator
from ray.autoscaler._private.kuberay.autoscaling_config import (
    _derive_autoscaling_config_from_ray_cr,
)
from ray.autoscaler._private.util import prepare_config, validate_config
from rendering import PAPER, ROOT, STUDIES, read_text, rendered

LAUNCHERS = ["aws", "gcp", "azure", "on-premise"]
KUBERAY = ["kuberay-job", "kuberay-cluster"]
SCHEMAS = ROOT.parent / "shared" / "schemas" / "kuberay"
FILES = {"RayJob": "ray.io_rayjobs.yaml", "RayCluster": "ray.io_rayclusters.yaml"}

EVERYTHING = {
    "queue": "hearts",
    "pvc": "study-volume",
    "data": "/mnt/mvkt/ptb-xl",
    "identity": "eks.amazonaws.com/role-arn=arn:aws:iam::123456789012:role/mvkt",
    "gpu_node_selector": "nvidia.com/gpu.product=NVIDIA-L4",
    "spot_node_selector": "karpenter.sh/capacity-type=spot",
    "token_secret": "ray-token",
    "gpu_image": "registry.example.com/mvkt-ray:0.4-gpu",
}
"""Every optional key of KubeRay's places, so that every line of the templates is seen."""


@pytest.mark.parametrize("study_file", STUDIES, ids=lambda path: path.stem)
@pytest.mark.parametrize("platform", LAUNCHERS)
def test_rays_launcher_accepts_the_file(platform: str, study_file: Path) -> None:
    validate_config(prepare_config(yaml.safe_load(rendered(platform, study_file))))


def node_configs(platform: str) -> dict[str, Any]:
    types = yaml.safe_load(rendered(platform))["available_node_types"]
    return {name: row["node_config"] for name, row in types.items()}


@pytest.mark.parametrize("name", ["head", "cpu", "gpu"])
def test_ec2_knows_every_parameter_of_a_node(name: str) -> None:
    model = botocore.session.get_session().get_service_model("ec2")
    shape = model.operation_model("RunInstances").input_shape
    request = {**node_configs("aws")[name], "MinCount": 1, "MaxCount": 1}
    assert ParamValidator().validate(request, shape).generate_report() == ""
    request["InstanceTyp"] = "m6i.large"
    assert "InstanceTyp" in ParamValidator().validate(request, shape).generate_report()


@pytest.mark.parametrize("name", ["head", "cpu", "gpu"])
def test_rays_template_for_azure_has_every_parameter_of_a_node(name: str) -> None:
    spec = util.find_spec("ray.autoscaler._private._azure")
    assert spec is not None
    assert spec.origin is not None
    template = json.loads((Path(spec.origin).parent / "azure-vm-template.json").read_text())
    types = {"string": str, "int": int, "object": dict}
    for key, value in node_configs("azure")[name]["azure_arm_parameters"].items():
        assert isinstance(value, types[template["parameters"][key]["type"]]), key


@pytest.fixture(scope="module")
def strict_schemas() -> dict[str, Any]:
    """The schemas of KubeRay's resources, by kind, refusing what they do not know."""
    if not SCHEMAS.is_dir():
        pytest.skip("KubeRay's schemas are not there: no folder ../shared/schemas/kuberay")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = {}
    for kind, name in FILES.items():
        crd = yaml.load((SCHEMAS / name).read_text(), Loader=loader)
        (version,) = [row for row in crd["spec"]["versions"] if row["name"] == "v1"]
        schema = version["schema"]["openAPIV3Schema"]
        refuse_unknown(schema)
        # Of the metadata the schema says only that there are some.
        schema["properties"]["metadata"] = {"type": "object"}
        found[kind] = jsonschema.Draft202012Validator(schema)
    return found


def refuse_unknown(schema: Any) -> None:
    """Let every object refuse what it does not name, where the schema does not allow it."""
    if isinstance(schema, list):
        for part in schema:
            refuse_unknown(part)
    if not isinstance(schema, dict):
        return
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    for part in schema.values():
        refuse_unknown(part)


def ray_document(text: str) -> Any:
    (document,) = [doc for doc in yaml.safe_load_all(text) if doc["kind"] in FILES]
    return document


def test_the_strict_schema_sees_a_wrong_field_deep_inside(strict_schemas: dict[str, Any]) -> None:
    document = ray_document(rendered("kuberay-cluster"))
    pod = document["spec"]["headGroupSpec"]["template"]["spec"]
    pod["containers"][0]["resources"]["limit"] = {}
    problems = [error.message for error in strict_schemas["RayCluster"].iter_errors(document)]
    assert any("'limit'" in problem for problem in problems)


@pytest.mark.parametrize("platform", KUBERAY)
def test_kuberays_schema_accepts_the_file(platform: str, strict_schemas: dict[str, Any]) -> None:
    texts = [rendered(platform, study_file) for study_file in STUDIES]
    texts.append(rendered(platform, PAPER, **EVERYTHING))
    for text in texts:
        document = ray_document(text)
        problems = strict_schemas[document["kind"]].iter_errors(document)
        assert [f"{error.json_path}: {error.message}" for error in problems] == []


@pytest.mark.parametrize("more", [{}, EVERYTHING], ids=["least", "everything"])
@pytest.mark.parametrize("platform", KUBERAY)
def test_rays_autoscaler_sees_the_groups_that_check_sees(
    platform: str, more: dict[str, str], tmp_path: Path
) -> None:
    text = rendered(platform, PAPER, **more)
    document = ray_document(text)
    spec = document["spec"].get("rayClusterSpec", document["spec"])
    config = _derive_autoscaling_config_from_ray_cr(
        {"metadata": document["metadata"], "spec": spec}
    )
    seen = config["available_node_types"]
    workers = [group for group in read_text(text, tmp_path).groups if not group.is_head]
    for group in workers:
        assert seen[group.name]["resources"]["CPU"] == group.node.cpus
        assert seen[group.name]["resources"].get("GPU", 0) == group.node.gpus
        assert seen[group.name]["max_workers"] == group.max_nodes
    (head,) = [seen[name] for name in seen if name not in [group.name for group in workers]]
    assert head["resources"]["CPU"] == 0
    assert head["labels"] == {"mvkt-ray/safe": "true"}


def test_pods_may_take_an_identity_of_azure(strict_schemas: dict[str, Any]) -> None:
    text = rendered("kuberay-job", PAPER, identity="azure.workload.identity/client-id=0123")
    document = ray_document(text)
    assert list(strict_schemas["RayJob"].iter_errors(document)) == []
    spec = document["spec"]["rayClusterSpec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        labels = group["template"]["metadata"]["labels"]
        assert labels["azure.workload.identity/use"] == "true"


@pytest.mark.parametrize("platform", KUBERAY)
def test_what_may_be_asked_for_is_in_the_manifest(platform: str) -> None:
    text = rendered(platform, PAPER, **EVERYTHING)
    documents = list(yaml.safe_load_all(text))
    document = ray_document(text)
    assert document["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "hearts"
    spec = document["spec"].get("rayClusterSpec", document["spec"])
    assert spec["authOptions"] == {"mode": "token", "secretName": "ray-token"}
    gpu = spec["workerGroupSpecs"][1]["template"]["spec"]
    assert gpu["nodeSelector"] == {
        "nvidia.com/gpu.product": "NVIDIA-L4",
        "karpenter.sh/capacity-type": "spot",
    }
    assert "nvidia.com/gpu" in [toleration["key"] for toleration in gpu["tolerations"]]
    container = gpu["containers"][0]
    assert container["image"] == EVERYTHING["gpu_image"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"mountPath": "/mnt/mvkt", "name": "study"} in container["volumeMounts"]
    (account,) = [doc for doc in documents if doc["kind"] == "ServiceAccount"]
    assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]
    assert gpu["serviceAccountName"] == account["metadata"]["name"]


def test_every_template_is_rendered_for_some_platform() -> None:
    from mvkt_ray.cluster_files.platforms import PLATFORMS

    templates = {str(p.relative_to(ROOT / "cluster")) for p in (ROOT / "cluster").rglob("*.j2")}
    used = {platform.template for platform in PLATFORMS.values()}
    assert {name for name in templates if not Path(name).name.startswith("_")} == used
