"""What a store and the network before it do wrong, at random by a seed, and counted."""

import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_SLOW_DOWN = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)
_INTERNAL = b"<Error><Code>InternalError</Code><Message>We encountered an error.</Message></Error>"
_WRONG = f'"{"0" * 32}"'
_N_SLOW_PARTS = 8

KINDS = (
    *("503 SlowDown", "500 before it was done", "500 after it was done"),
    *("reset before it was done", "reset after it was done", "answered late"),
    *("body cut short", "slow body", "wrong ETag"),
)


@dataclass
class Faults:
    """Put around a store's application; safe for many threads."""

    seed: int
    share: float = 0.05
    """Of requests that go wrong in some way."""
    late_s: float = 4.0
    """More than pyarrow's client for S3 waits for an answer."""
    slow_s: float = 0.4
    """For the whole of a body."""
    kinds: tuple[str, ...] = KINDS
    counts: Counter[str] = field(default_factory=Counter[str])
    n_requests: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def around(self, store: Any) -> Callable[..., Iterable[bytes]]:
        """Answer as a store does, but for the faults."""

        def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            kind = self._draw()
            if kind is None:
                return store(environ, start)
            if kind.endswith("before it was done") or kind == "503 SlowDown":
                _read_all(environ)
                status, headers, body = "", list[tuple[str, str]](), b""
            else:
                status, headers, body = _answer_of(store, environ)
            has_body = environ["REQUEST_METHOD"] == "GET" and len(body) > 1
            if kind == "503 SlowDown":
                return _refuse(start, "503 Slow Down", _SLOW_DOWN)
            if kind.startswith("500"):
                return _refuse(start, "500 Internal Server Error", _INTERNAL)
            if kind.startswith("reset"):
                _reset(environ)
                return _refuse(start, "500 Internal Server Error", b"")
            if kind == "answered late":
                time.sleep(self.late_s)
            if kind == "wrong ETag":
                headers = [
                    (
                        name,
                        '"00000000000000000000000000000000"' if name.lower() == "etag" else value,
                    )
                    for name, value in headers
                ]
            start(status, headers)
            if kind == "body cut short" and has_body:
                return _cut(environ, body)
            if kind == "slow body" and has_body:
                return _slowly(body, self.slow_s)
            return [body]

        return answer

    def _draw(self) -> str | None:
        with self._lock:
            self.n_requests += 1
            if self._random.random() >= self.share:
                return None
            kind = self._random.choice(self.kinds)
            self.counts[kind] += 1
            return kind


def _answer_of(store: Any, environ: Any) -> tuple[str, list[tuple[str, str]], bytes]:
    said: list[Any] = []
    parts = store(environ, lambda status, headers, *_: said.extend((status, headers)))
    try:
        body = b"".join(parts)
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return said[0], said[1], body


def _read_all(environ: Any) -> None:
    # Or the next request on this connection begins with the rest.
    is_chunked = environ.get("wsgi.input_terminated", False)
    environ["wsgi.input"].read(-1 if is_chunked else int(environ.get("CONTENT_LENGTH") or 0))


def _refuse(start: Any, status: str, body: bytes) -> list[bytes]:
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _reset(environ: Any) -> None:
    connection: socket.socket = environ["werkzeug.socket"]
    # No farewell: the other side sees ECONNRESET.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def _cut(environ: Any, body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionError("cut short on purpose")


def _slowly(body: bytes, seconds: float) -> Iterator[bytes]:
    n_bytes = -(-len(body) // _N_SLOW_PARTS)
    for start in range(0, len(body), n_bytes):
        time.sleep(seconds / _N_SLOW_PARTS)
        yield body[start : start + n_bytes]
