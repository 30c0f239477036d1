import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.ports import free_port


def test_a_cluster_that_is_not_there_is_wrong_input(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path
) -> None:
    closed_port = free_port()
    out = tmp_path / "out"
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", out)
    done = mvkt(*line, "--address", f"127.0.0.1:{closed_port}")
    done.expect_wrong_input("nothing answers", str(closed_port))
    assert not out.exists()


@pytest.mark.ray
def test_ingest_on_ray_gives_the_shards_of_ingest_in_process(mvkt: Any, tmp_path: Path) -> None:
    options = ["--option", "n_recordings=40", "--option", "duration_s=3", "--rows-per-shard", "10"]
    line = ["ingest", "synthetic", "-"]
    here = mvkt(*line, tmp_path / "here", *options, "--in-process", "--json")
    program = [sys.executable, "-m", "mvkt_ray", *line, tmp_path / "there", *options, "--json"]
    there = subprocess.run(program, capture_output=True, text=True)
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout)["fingerprint"] == here.json["fingerprint"]
    assert "starting Ray" in there.stderr
    assert "Traceback" not in there.stderr
