"""`ray start` as we call it waits for a node of a busy machine, wherever a node is started."""

import runpy
import sys
from pathlib import Path

import pytest
from ray._private import services
from ray.scripts import scripts

from mvkt_ray.on_ray.own_nodes import local_nodes

ROOT = Path(__file__).parents[3]


def test_rays_command_line_runs_with_its_own_arguments_and_more_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, seen = services.get_node, list[object]()

    def main() -> None:
        seen.extend([sys.argv[1:], services.get_node is not before])

    monkeypatch.setattr(scripts, "main", main)
    monkeypatch.setattr(sys, "argv", ["ray", "start", "--head"])
    runpy.run_module(local_nodes.PATIENT_RAY, run_name="__main__")
    assert seen == [["start", "--head"], True]
    assert services.get_node is before


def test_the_slurm_job_starts_its_nodes_by_it() -> None:
    script = (ROOT / "cluster" / "slurm" / "search.sbatch.j2").read_text()
    assert f"python -m {local_nodes.PATIENT_RAY} start --block" in script
    assert "|| ray start" not in script
