"""Wrong input to `mvkt cluster start`: one paragraph, and nothing is started or written."""

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.on_ray.own_nodes.local_nodes import local_nodes
from mvkt_ray.on_ray.own_nodes.node_request import NodeRequest
from tests.ports import free_ports


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def refused(*words: object) -> str:
    result = CliRunner().invoke(app, ["cluster", *map(str, words)])
    assert result.exit_code == 2, result.output
    (paragraph,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    return paragraph


def free_range() -> str:
    ports = free_ports(40)
    return f"{ports[0]}-{ports[-1]}"


@pytest.mark.parametrize("words", [(), ("--head", "--join", "10.0.0.5:6379")])
def test_a_head_or_a_node_not_both(words: tuple[str, ...]) -> None:
    assert "either --head" in refused("start", *words)


@pytest.mark.parametrize("ports", ["", "20000", "9-5", "80-2000", "60000-70000", "a-b"])
def test_what_is_no_range_of_ports(ports: str) -> None:
    assert "not a range of ports" in refused("start", "--head", "--node-ports", ports)


def test_a_range_in_which_no_node_fits() -> None:
    ports = free_ports(10)
    paragraph = refused("start", "--head", "--node-ports", f"{ports[0]}-{ports[-1]}")
    assert "are 10 ports" in paragraph


def test_ports_that_are_taken_are_named_with_their_flags() -> None:
    first, *_, last = free_ports(40)
    with socket.create_server(("", first + 1)), socket.create_server(("", last)) as server:
        port = server.getsockname()[1]
        words = ("--dashboard-port", port, "--node-ports", f"{first}-{last - 1}")
        paragraph = refused("start", "--head", *words)
    assert f"--dashboard-port {port}" in paragraph
    assert f"--node-ports {first + 1}" in paragraph


def test_to_join_without_a_token() -> None:
    assert "no token of the cluster" in refused("start", "--join", "10.0.0.5:6379")


def test_a_token_file_that_is_not_there_or_that_others_can_read(own_home: Path) -> None:
    join = ("start", "--join", "127.0.0.1:1")
    token = own_home / "my token"
    assert "cannot be read" in refused(*join, "--token-file", token)
    token.write_text("secret")
    token.chmod(0o640)
    paragraph = refused(*join, "--token-file", token)
    assert f"chmod 600 '{token}'" in paragraph
    assert "secret" not in paragraph


def test_a_head_that_is_not_there(own_home: Path) -> None:
    token = own_home / "token"
    token.write_text("secret")
    token.chmod(0o600)
    [port] = free_ports(1)
    join = ("start", "--join", f"127.0.0.1:{port}", "--node-ports", free_range())
    assert "--join" in (paragraph := refused(*join, "--token-file", token))
    assert "nothing answers" in paragraph
    assert list(local_nodes()) == []


def test_resources_and_labels_that_are_none() -> None:
    assert "NAME=NUMBER" in refused("start", "--head", "--resource", "disk=much")
    assert "KEY=VALUE" in refused("start", "--head", "--label", "fast")


def test_a_stop_where_nothing_was_started_touches_nothing(own_home: Path) -> None:
    # Left by a start that was killed, and a file of somebody who writes what he wants.
    (own_home / "mvkt-node-a").mkdir()
    (own_home / "mvkt-node-b").mkdir()
    (own_home / "mvkt-node-b" / "node.json").write_text(json.dumps({"name": "b"}))
    result = CliRunner().invoke(app, ["cluster", "stop"])
    assert result.exit_code == 0
    assert "nothing was started here" in result.stdout


def test_a_job_is_stopped_with_its_address_only() -> None:
    assert "--address" in refused("stop", "some-job")
    assert "name" in refused("stop", "--address", "http://head:8265")


def test_ports_of_a_node_are_within_its_range_and_differ() -> None:
    request = NodeRequest(node_ip="10.0.0.5", token=Path("t"), node_ports=(20000, 20999))
    ports = request.listening()
    assert len(set(ports.values())) == len(ports) == 9
    first, last = request.worker_ports
    assert not set(ports.values()) & set(range(first, last + 1))
    assert last == 20999
    assert request.address == "10.0.0.5:6379"
