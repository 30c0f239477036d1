"""Addresses of clusters, with a fast check that a Ray head answers and accepts the token.

Ray itself waits minutes for a head that is gone, and 40 s for a server that is not Ray. One call of
the head's control service (GCS) answers in milliseconds, and returns the head's version.
"""

import contextlib
import socket
from collections.abc import Generator

import grpc
import ray
from ray._private import services
from ray.core.generated.gcs_service_pb2 import (
    CheckAliveRequest,  # pyright: ignore[reportAttributeAccessIssue]
)
from ray.core.generated.gcs_service_pb2_grpc import NodeInfoGcsServiceStub

from mvkt_ray.config.ports import CLIENT_PORT, HEAD_PORT
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.connecting.tokens import TOKEN_HINT, current_token, find_token, using_token

AUTO = "auto"
CLIENT = "ray://"

REACHABLE_WITHIN_S = 10.0
"""Limit for a connection; a cluster on another continent takes less than a second."""

_WITHOUT_ADDRESS = "; without --address, mvkt starts its own Ray on this machine"


@contextlib.contextmanager
def admitted(address: str) -> Generator[str]:
    """Check that a head answers at an address; use the token in the block if the head needs one.

    Args:
        address: `auto`, `host:port` or `ray://host[:port]`.

    Yields:
        The address to connect to; for `auto` the head's.

    Raises:
        ClusterError: Nothing answers, the server is not Ray, it refuses the token, it has another
            version, or this machine is not a node of the cluster.
    """
    if address.startswith(CLIENT):
        check_listens(address, *split_address(address, default_port=CLIENT_PORT))
        with using_token(None if current_token() else find_token(None)):
            yield address
        return
    if address.startswith(("http://", "https://")):
        raise ClusterError(
            f"--address {address} is a dashboard; submit a study to it with `mvkt cluster submit "
            f"STUDY.yaml --address {address}`. To run the search's driver on this machine, give "
            f"HOST:{HEAD_PORT} on a node of the cluster, or {CLIENT}HOST:{CLIENT_PORT} from "
            "outside."
        )
    found = find_cluster() if address == AUTO else address
    named = f"--address {address}" if found == address else f"--address {address} ({found})"
    with contextlib.ExitStack() as stack:
        if _needs_token(found, named) and not current_token():
            stack.enter_context(using_token(find_token(None)))
        check_head(found, named)
        _check_is_node(named)
        yield found


def find_cluster() -> str:
    """Return the address of the head of this machine's cluster.

    Raises:
        ClusterError: This machine is not a node of a cluster.
    """
    try:
        found = services.canonicalize_bootstrap_address(AUTO)
    except (ConnectionError, ValueError) as error:
        found, reason = None, f" ({' '.join(str(error).split())})"
    else:
        reason = ""
    if found is None:
        raise ClusterError(
            f"--address auto: no Ray runs on this machine{reason}. Start one with `mvkt cluster "
            f"start --head`, join one with `mvkt cluster start --join HEAD:{HEAD_PORT}`, or give "
            "the HOST:PORT of a head. Without --address, mvkt starts its own Ray on this machine."
        )
    return found


def check_head(address: str, named: str) -> None:
    """Raise unless a Ray head of this version answers at an address and accepts the token.

    Args:
        address: `host:port` of the head's control service.
        named: The address in messages, as the user gave it.

    Raises:
        ClusterError: Nothing answers, the server is not Ray, it refuses the token, or it has
            another version.
    """
    host, port = split_address(address)
    check_listens(named, host, port)
    code, answer = _check_alive(host, port)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        raise ClusterError(f"{named}: {refusal(current_token())}")
    if code is not None:
        hint = ""
        if code is grpc.StatusCode.UNIMPLEMENTED:
            hint = f" It may be the port for Ray's client; if so, write {CLIENT}{host}:{port}."
        raise ClusterError(
            f"{named}: the server at {host}, port {port} is not the head of a Ray cluster "
            f"({code.name}).{hint} `mvkt cluster start --head` prints the address to give, by "
            f"default HOST:{HEAD_PORT}."
        )
    if answer != ray.__version__:
        raise ClusterError(
            f"{named}: the head runs Ray {answer}, this machine has {ray.__version__}. Install "
            f"ray=={answer} here, or start the cluster with ray=={ray.__version__}."
        )


def refusal(token: str | None) -> str:
    """Return the sentence for a cluster whose token is wrong or missing on this machine."""
    if token is None:
        return f"the cluster requires a token, and this machine has none. {TOKEN_HINT}"
    return f"the cluster does not accept the token of this machine. {TOKEN_HINT}"


def split_address(address: str, *, default_port: int | None = None) -> tuple[str, int]:
    """Parse `host:port`, `[::1]:port` or `scheme://host:port`.

    Args:
        address: The address.
        default_port: Port of an address without one; None: the address must have a port.

    Returns:
        Host, without brackets, and port.

    Raises:
        ClusterError: The address has another form.
    """
    bare = address.rpartition("://")[2].partition("/")[0]
    host, colon, port = bare.rpartition(":")
    if not colon and default_port is not None:
        host, port = bare, str(default_port)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ClusterError(
            f"--address {address!r} is not an address: write HOST:PORT, for example "
            f"10.0.0.5:{HEAD_PORT}, {CLIENT}HOST:{CLIENT_PORT} from outside the cluster, or auto "
            "on one of its nodes."
        )
    return host.strip("[]"), int(port)


def _needs_token(address: str, named: str) -> bool:
    host, port = split_address(address)
    check_listens(named, host, port)
    return _check_alive(host, port)[0] is grpc.StatusCode.UNAUTHENTICATED


def check_listens(named: str, host: str, port: int, way_out: str = _WITHOUT_ADDRESS) -> None:
    """Raise unless a server accepts connections at a port.

    Args:
        named: The address in the message, as the user gave it.
        host: Host or IP address.
        port: Port.
        way_out: End of the message: an alternative for the user.

    Raises:
        ClusterError: Nothing answers.
    """
    try:
        socket.create_connection((host, port), timeout=REACHABLE_WITHIN_S).close()
    except OSError as error:
        raise ClusterError(
            f"{named}: nothing answers at {host}, port {port} ({error}). Check the address, that "
            f"the cluster runs, and that no firewall is in between{way_out}."
        ) from None


def _check_alive(host: str, port: int) -> tuple[grpc.StatusCode | None, str]:
    token = current_token()
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = NodeInfoGcsServiceStub(channel).CheckAlive(
                CheckAliveRequest(), timeout=REACHABLE_WITHIN_S, metadata=metadata
            )
        except grpc.RpcError as error:
            return error.code(), ""
    return None, answer.ray_version


def _check_is_node(named: str) -> None:
    if services.find_node_ids():
        return
    raise ClusterError(
        f"{named}: this machine is not a node of the cluster, so the driver cannot run here. "
        f"Submit the study with `mvkt cluster submit`, connect by {CLIENT}HOST:{CLIENT_PORT}, or "
        "join the cluster first: `mvkt cluster start --join`."
    )
