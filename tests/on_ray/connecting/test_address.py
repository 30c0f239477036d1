"""Addresses that are wrong are told at once, in one paragraph, whatever answers there."""

import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import pytest
import ray
from ray.core.generated.gcs_service_pb2 import (
    CheckAliveReply,  # pyright: ignore[reportAttributeAccessIssue]
)
from ray.core.generated.gcs_service_pb2_grpc import (
    NodeInfoGcsServiceServicer,
    add_NodeInfoGcsServiceServicer_to_server,
)

from mvkt_ray.errors import ClusterError, MvktError
from mvkt_ray.on_ray.connecting import tokens
from mvkt_ray.on_ray.connecting.address import admitted, check_head, find_cluster, split_address
from tests.ports import free_port

TOKEN = "0123456789abcdef" * 4


class Head(NodeInfoGcsServiceServicer):
    """Answers as the control service of a head does."""

    def __init__(self, ray_version: str, token: str | None) -> None:
        self.ray_version, self.token = ray_version, token

    def CheckAlive(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        shown = dict(context.invocation_metadata()).get("authorization")
        if self.token and shown != f"Bearer {self.token}":
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "InvalidAuthToken")
        return CheckAliveReply(ray_version=self.ray_version)


@contextlib.contextmanager
def head(ray_version: str = ray.__version__, token: str | None = None) -> Iterator[str]:
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        add_NodeInfoGcsServiceServicer_to_server(Head(ray_version, token), server)
        port = server.add_insecure_port(f"127.0.0.1:{free_port()}")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(None).wait()


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The tokens and clusters of whoever runs the tests are not to be found."""
    for name in (tokens.MODE, tokens.PATH, tokens.VALUE, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens(scheme: str) -> None:
    port = free_port()
    expected = f"nothing answers at 127.0.0.1, port {port}"
    with pytest.raises(ClusterError, match=expected), admitted(f"{scheme}127.0.0.1:{port}"):
        pass


def test_an_address_where_something_else_than_ray_listens() -> None:
    with HTTPServer(("127.0.0.1", free_port()), BaseHTTPRequestHandler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        with pytest.raises(ClusterError, match="is not the head of a Ray cluster"):
            check_head(address, address)
        server.shutdown()


def test_another_kind_of_grpc_server_is_taken_for_the_port_of_rays_client() -> None:
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        port = server.add_insecure_port(f"127.0.0.1:{free_port()}")
        server.start()
        with pytest.raises(ClusterError, match=f"if so, write ray://127.0.0.1:{port}"):
            check_head(f"127.0.0.1:{port}", "here")
        server.stop(None).wait()


def test_a_head_of_another_version_of_ray() -> None:
    with head("2.48.0") as address, pytest.raises(ClusterError, match=r"2\.48\.0.*ray==2\.48\.0"):
        check_head(address, address)


def test_the_address_of_a_dashboard_is_for_sending_studies() -> None:
    with pytest.raises(ClusterError, match="mvkt cluster submit"), admitted("http://head:8265"):
        pass


@pytest.mark.parametrize("token", [None, "another"])
def test_a_head_that_asks_for_another_token(token: str | None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(token or "")
    reason = "does not accept the token" if token else "this machine has none"
    with (
        head(token=TOKEN) as address,
        tokens.using_token(file if token else None),
        pytest.raises(ClusterError, match=reason) as refused,
    ):
        check_head(address, address)
    assert "--token-file" in str(refused.value)
    assert TOKEN not in str(refused.value)


def nodes_on_this_machine(monkeypatch: pytest.MonkeyPatch, *nodes: str) -> None:
    monkeypatch.setattr("ray._private.services.find_node_ids", lambda: set(nodes))


def test_a_token_in_rays_own_place_is_used_when_the_head_asks_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes_on_this_machine(monkeypatch, "one")
    usual = tokens.default_token_file()
    tokens.make_token(usual)
    with head(token=usual.read_text()) as address, admitted(address) as found:
        assert found == address
        assert tokens.current_token() == usual.read_text()
    assert tokens.current_token() is None


def test_a_token_is_not_shown_to_a_head_that_does_not_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes_on_this_machine(monkeypatch, "one")
    tokens.make_token(tokens.default_token_file())
    with head() as address, admitted(address):
        assert tokens.current_token() is None


def test_a_machine_that_is_no_node_is_told_how_to_send_a_study(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes_on_this_machine(monkeypatch)
    with head() as address, pytest.raises(ClusterError, match="mvkt cluster submit"):
        with admitted(address):
            pass


def test_auto_on_a_machine_whose_head_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
    found = find_cluster()
    assert found.endswith(f":{port}")
    expected = rf"--address auto \({found}\): nothing answers"
    with pytest.raises(ClusterError, match=expected), admitted("auto"):
        pass


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.0.0.5:6379", ("10.0.0.5", 6379)),
        ("ray://head", ("head", 10001)),
        ("ray://[::1]:99", ("::1", 99)),
        ("http://head:8265/", ("head", 8265)),
    ],
)
def test_forms_of_addresses(address: str, expected: tuple[str, int]) -> None:
    assert split_address(address, default_port=10001) == expected


@pytest.mark.parametrize("address", ["", "local", "host:", "host:70000", "host:x", "host:0", ":99"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ClusterError, match="is not an address"):
        split_address(address)


def test_a_token_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "below" / "token"
    tokens.make_token(path)
    assert path.stat().st_mode & 0o777 == 0o600
    made = path.read_text()
    assert len(made) == 64
    with pytest.raises(ClusterError, match="cannot be created"):
        tokens.make_token(path)
    assert path.read_text() == made
    assert [each.name for each in path.parent.iterdir()] == ["token"]


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_token_file_that_holds_none(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MvktError, match=r"token file .* (cannot be read|is empty)"):
        tokens.find_token(path)


def test_a_listener_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mvkt_ray.on_ray.connecting.address.REACHABLE_WITHIN_S", 0.2)
    with socket.create_server(("127.0.0.1", free_port())) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match="is not the head"):
            check_head(address, address)


def test_a_token_in_the_environment_wins_over_rays_file_but_not_over_a_named_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tokens.make_token(tokens.default_token_file())
    named = tmp_path / "named"
    tokens.make_token(named)
    monkeypatch.setenv(tokens.VALUE, "from the environment")
    with tokens.using_token(tokens.find_token(None)):
        assert tokens.current_token() == "from the environment"
    with tokens.using_token(tokens.find_token(named)):
        assert tokens.current_token() == named.read_text()
    monkeypatch.delenv(tokens.VALUE)
    with tokens.using_token(tokens.find_token(None)):
        assert tokens.current_token() == tokens.default_token_file().read_text()
