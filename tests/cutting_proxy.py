"""A network between a driver and its PostgreSQL that breaks at chosen moments."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Literal

Cut = Literal["before", "after"]
"""Of a COMMIT: before the server hears of it, or when its answer is on the way."""


@dataclass
class CuttingProxy:
    """Passes on what is said, until it cuts every connection at once."""

    server_port: int
    when: Callable[[int], Cut | None] = lambda _: None
    """Asked at every COMMIT, with its number from 1."""
    port: int = 0
    n_commits: int = 0
    n_cuts: int = 0
    _open: set[socket.socket] = field(default_factory=set[socket.socket])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cut(self) -> None:
        """Break every connection; both sides see it end."""
        with self._lock:
            self.n_cuts += 1
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            self._open.clear()

    def serve(self, listener: socket.socket) -> None:
        """Take connections until the listener is shut down."""
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.server_port)) as server:
                with self._lock:
                    self._open |= {client, server}
                while True:
                    for ready in select.select([client, server], [], [])[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        if ready is server:
                            client.sendall(data)
                        elif not self._to_server(server, data):
                            return

    def _to_server(self, server: socket.socket, data: bytes) -> bool:
        """Pass on what a client says, or cut; say whether it goes on."""
        how = None
        if b"COMMIT" in data:
            self.n_commits += 1
            how = self.when(self.n_commits)
        if how == "before":
            self.cut()
            return False
        server.sendall(data)
        if how == "after":
            assert b"COMMIT" in server.recv(65536), "the server has not committed"
            self.cut()
            return False
        return True


@contextlib.contextmanager
def cutting_proxy(server_port: int) -> Generator[CuttingProxy]:
    """Stand between clients and a server of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = CuttingProxy(server_port, port=listener.getsockname()[1])
        threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
        try:
            yield proxy
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            proxy.cut()
