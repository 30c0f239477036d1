"""A real web server of a folder for tests: it counts what it sends, and fails as it is told."""

import threading
from collections import defaultdict, deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from tests.patience import PATIENCE_S


@dataclass
class Sent:
    """One answer, noted before it is sent."""

    method: str
    name: str
    status: int
    start: int
    n_bytes: int
    """Of content."""


@dataclass
class FileServer:
    """What the server serves, does wrong, and did."""

    folder: Path
    has_ranges: bool = True
    answers: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    """Statuses that the next requests for a name get instead of the file."""
    breaks: dict[str, deque[int]] = field(default_factory=lambda: defaultdict(deque))
    """Numbers of bytes after which the next answers for a name break off."""
    spoilt: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """How many of the next answers for a name have a wrong byte."""
    claimed: dict[str, int] = field(default_factory=dict)
    """Bytes that HEAD says instead of the file's own."""
    held: dict[str, int] = field(default_factory=dict)
    """Number of bytes of a name after which nothing more comes until `release`."""
    release: threading.Event = field(default_factory=threading.Event)
    sent: list[Sent] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def asked(self, name: str, method: str = "GET") -> list[Sent]:
        return [sent for sent in self.sent if (sent.name, sent.method) == (name, method)]

    def n_bytes(self, name: str | None = None) -> int:
        return sum(sent.n_bytes for sent in self.sent if name in (None, sent.name))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, server: FileServer, *args: object) -> None:
        self.files = server
        super().__init__(*args)  # pyright: ignore[reportArgumentType]

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = unquote(self.path).lstrip("/")
        path = self.files.folder / name
        if self.files.answers[name]:
            self._refuse(name, self.files.answers[name].popleft())
        elif not path.is_file():
            self._refuse(name, 404)
        else:
            self._send(name, path.read_bytes())

    def _refuse(self, name: str, status: int) -> None:
        self.send_response(status)
        if status == HTTPStatus.FOUND:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.files.sent.append(Sent(self.command, name, status, 0, 0))
        self.end_headers()

    def _send(self, name: str, content: bytes) -> None:
        start, wanted = 0, self.headers.get("Range")
        if wanted and self.files.has_ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self._refuse(name, 416)
                return
        if self.command == "GET" and self.files.spoilt[name]:
            self.files.spoilt[name] -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        status = 206 if start else 200
        self.send_response(status)
        length = len(content) - start
        if self.command == "HEAD":
            length = self.files.claimed.get(name, length)
        self.send_header("Content-Length", str(length))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:] if self.command == "GET" else b""
        if self.command == "GET" and self.files.breaks[name]:
            body = body[: self.files.breaks[name].popleft()]
            self.close_connection = True
        sent = Sent(self.command, name, status, start, 0)
        self.files.sent.append(sent)
        self.end_headers()
        self._write(body, sent)

    def _write(self, body: bytes, sent: Sent) -> None:
        first = self.files.held.get(sent.name, len(body))
        for piece in (body[:first], body[first:]):
            if sent.n_bytes and piece:
                self.wfile.flush()
                self.files.release.wait(PATIENCE_S)
            sent.n_bytes += len(piece)
            self.wfile.write(piece)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that are killed go away in the middle."""


@contextmanager
def serve_folder(folder: Path) -> Generator[FileServer]:
    """Serve a folder on a free port of loopback."""
    files = FileServer(folder)
    server = _Server(("127.0.0.1", 0), partial(_Handler, files))
    files.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield files
    finally:
        files.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
