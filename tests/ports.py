"""Ports for servers that tests start.

A port that the kernel hands out (bind to 0) may be taken by any outgoing connection before a server
that is told about it listens. So these come from below the ephemeral range; each process of
pytest-xdist has its own part, and no port is handed out twice by one process.
"""

import contextlib
import itertools
import os
import socket
from collections.abc import Iterator

FIRST, END = 24100, 32700
N_PARTS = 8


def _in_turn() -> Iterator[int]:
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % N_PARTS
    size = (END - FIRST) // N_PARTS
    # Runs of pytest beside each other start at different places.
    start = os.getpid() * 97 % size
    for step in itertools.count():
        yield FIRST + part * size + (start + step) % size


_ports = _in_turn()


def free_ports(n: int) -> list[int]:
    """Return `n` ports in a row on which nothing listens, on any interface."""
    found: list[int] = []
    while len(found) < n:
        port = next(_ports)
        if not _is_free(port):
            found = []
        elif found and port != found[-1] + 1:
            found = [port]
        else:
            found.append(port)
    return found


def free_port() -> int:
    """Return a port on which nothing listens, on any interface."""
    [port] = free_ports(1)
    return port


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
        return True
