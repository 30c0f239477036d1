import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.cli.choose_place import check_reachable
from mvkt_ray.errors import ClusterError


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens_is_told_at_once(closed_port: int, scheme: str) -> None:
    with pytest.raises(ClusterError, match=f"nothing answers at 127.0.0.1, port {closed_port}"):
        check_reachable(f"{scheme}127.0.0.1:{closed_port}")


def test_an_address_where_something_listens_is_left_to_ray() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_reachable(f"127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize("address", ["auto", "ray://head", "local"])
def test_addresses_without_a_port_are_left_to_ray(address: str) -> None:
    check_reachable(address)


def test_a_cluster_that_is_not_there_is_wrong_input(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path, closed_port: int
) -> None:
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
