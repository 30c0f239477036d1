"""`mvkt cluster start`: make this machine the head of a cluster, or a node of one."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mvkt_ray.cli.cluster.cluster_options import TokenFile
from mvkt_ray.cli.failures import EXIT_FAILED
from mvkt_ray.cli.options import VerbOutput, parse_pairs
from mvkt_ray.config.ports import CLIENT_PORT, DASHBOARD_PORT, HEAD_PORT, NODE_PORTS, port_range
from mvkt_ray.display.console import Output, facts, heading
from mvkt_ray.errors import ConfigError

if TYPE_CHECKING:
    from mvkt_ray.on_ray.own_nodes.local_nodes import LocalNode

_LOWEST_PORT, _HIGHEST_PORT = 1024, 65535
"""Ports below it are reserved for the system."""


def start_verb(
    output: VerbOutput,
    head: Annotated[
        bool, typer.Option("--head", help="Start a cluster with its head here.")
    ] = False,
    join: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Join the cluster with this head.")
    ] = None,
    token_file: TokenFile = None,
    node_ip: Annotated[
        str | None,
        typer.Option(metavar="IP", help="Address by which other machines reach this one."),
    ] = None,
    port: Annotated[int, typer.Option(help="Head's port for nodes to join.")] = HEAD_PORT,
    dashboard_port: Annotated[
        int, typer.Option(help="Head's port for jobs and dashboard (HTTP).")
    ] = DASHBOARD_PORT,
    dashboard_host: Annotated[
        str,
        typer.Option(
            metavar="IP", help="Interface of the dashboard; 127.0.0.1: this machine only."
        ),
    ] = "0.0.0.0",
    client_port: Annotated[int, typer.Option(help="Head's port for ray://.")] = CLIENT_PORT,
    node_ports: Annotated[
        str,
        typer.Option(
            metavar="FIRST-LAST", help="Ports for traffic between nodes: services and workers."
        ),
    ] = port_range(NODE_PORTS),
    cpus: Annotated[int | None, typer.Option(min=0, help="CPUs to offer; all by default.")] = None,
    gpus: Annotated[int | None, typer.Option(min=0, help="GPUs to offer; all by default.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Label of the node; repeatable.")
    ] = None,
    resource: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NUMBER", help="Custom resource of the node; repeatable."),
    ] = None,
    block: Annotated[
        bool,
        typer.Option("--block", help="Run until the node ends, for supervisors such as systemd."),
    ] = False,
) -> None:
    """Start Ray on this machine, with a token, as the head of a cluster or as a node of one.

    Prints its ports, the firewall rules that they need, and the next commands.
    Example: mvkt cluster start --head
    """
    from mvkt_ray.cli.cluster.start_report import node_as_value, node_lines
    from mvkt_ray.on_ray.own_nodes.local_nodes import start_node
    from mvkt_ray.on_ray.own_nodes.node_request import NodeRequest, check_ports, own_ip

    if head == (join is not None):
        raise ConfigError(
            "Give either --head, to start a cluster, or --join HOST:PORT, to join one; the "
            "address was printed when its head was started."
        )
    request = NodeRequest(
        join=join,
        node_ip=node_ip or own_ip(join),
        token=_token(token_file, is_head=head),
        port=port,
        dashboard_port=dashboard_port,
        dashboard_host=dashboard_host,
        client_port=client_port,
        node_ports=_range(node_ports),
        cpus=cpus,
        gpus=gpus,
        labels=parse_pairs("--label", label or []),
        resources=_numbers(resource or []),
    )
    check_ports(request)
    if join is not None:
        _check_cluster(join, request.token)
    with output.waiting("starting Ray"):
        node = start_node(request)
    kind = "head of a new cluster" if node.is_head else f"node of the cluster at {node.address}"
    shown = [heading(f"This machine is the {kind}."), facts(node_lines(request, node))]
    output.answer(node_as_value(request, node), shown)
    if block:
        _stay(output, node)


def _token(given: Path | None, *, is_head: bool) -> Path:
    from mvkt_ray.on_ray.connecting.tokens import (
        TOKEN_HINT,
        default_token_file,
        find_token,
        make_token,
    )

    if is_head:
        wanted = given or find_token(None) or default_token_file()
        if not wanted.exists():
            make_token(wanted)
        given = wanted
    found = find_token(given)
    if found is None:
        raise ConfigError(f"This machine has no token of the cluster. {TOKEN_HINT}")
    if found.stat().st_mode & 0o077:
        raise ConfigError(
            f"The token file {found} can be read by others on this machine. Whoever has the token "
            f"can run anything on the cluster: `chmod 600 {shlex.quote(str(found))}`."
        )
    return found


def _check_cluster(join: str, token: Path) -> None:
    from mvkt_ray.on_ray.connecting.address import check_head
    from mvkt_ray.on_ray.connecting.tokens import using_token
    from mvkt_ray.on_ray.own_nodes.versions import check_head_versions

    with using_token(token):
        check_head(join, f"--join {join}")
        check_head_versions(join)


def _range(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)-(\d+)", text)
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not _LOWEST_PORT <= first < last <= _HIGHEST_PORT:
        raise ConfigError(
            f"--node-ports {text!r} is not a range of ports: write FIRST-LAST within "
            f"{port_range((_LOWEST_PORT, _HIGHEST_PORT))}, for example {port_range(NODE_PORTS)}."
        )
    return first, last


def _numbers(pairs: Sequence[str]) -> dict[str, float]:
    values = parse_pairs("--resource", pairs)
    try:
        return {name: float(value) for name, value in values.items()}
    except ValueError as error:
        raise ConfigError(f"--resource needs NAME=NUMBER, for example disk=2 ({error}).") from None


def _stay(output: Output, node: "LocalNode") -> None:
    from mvkt_ray.on_ray.own_nodes.local_nodes import stop_node, wait_for_end

    try:
        ended = wait_for_end(node)
    except KeyboardInterrupt:
        output.say("stopping the node")
        stop_node(node)
        return
    output.say(f"{ended} of the node has ended; its logs are in {node.directory}")
    raise typer.Exit(EXIT_FAILED)
