"""A real S3 server for tests (moto's), which counts what is asked of it and can refuse writes."""

import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from mvkt_ray.storage.location import Location

_DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Access Denied</Message><RequestId>0</RequestId></Error>"
)
_WRITES = ("PUT", "POST", "DELETE")
_CONDITIONS = ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request that the server answered."""

    method: str
    bucket: str
    key: str
    query: str
    status: int
    n_bytes_in: int
    n_bytes_out: int


class _QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept, as a real store does

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@dataclass
class S3Server:
    """A server of buckets in this process, for this and for child processes."""

    requests: list[Request] = field(default_factory=list)
    read_only: set[str] = field(default_factory=set)
    """Buckets that answer every write with 403 AccessDenied."""
    closed: set[str] = field(default_factory=set)
    """Buckets that answer everything so."""
    before: Callable[[str, str], None] = lambda method, key: None
    """Called with a request that has arrived, before anything is done with it: may hold it."""
    around: Callable[[Any], Any] = lambda application: application
    """Put around the store's application: may spoil what it answers."""
    ignores_conditions: bool = False
    """Answers PUT as a store does that knows no conditional writes."""
    _writing: threading.Lock = field(default_factory=threading.Lock)
    """moto looks at a condition and then writes; S3 does both in one step."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _port: int = 0

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make every client of S3 speak to this server."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port}",
            "AWS_ACCESS_KEY_ID": "mvkt",
            "AWS_SECRET_ACCESS_KEY": "mvkt",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self, name: str, *, read_only: bool = False) -> Location:
        """Make an empty bucket; its name needs three letters."""
        self.client().create_bucket(Bucket=name)
        if read_only:
            self.read_only.add(name)
        return Location(f"s3://{name}")

    def uri(self, bucket: str, key: str = "") -> str:
        """The URI of a bucket or of what is in it."""
        return f"s3://{bucket}/{key}".rstrip("/")

    def client(self) -> Any:
        """An independent client, to look at what is stored."""
        import boto3  # slow, and few tests need it

        return boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="mvkt",
            aws_secret_access_key="mvkt",
            region_name="us-east-1",
        )

    def keys(self, bucket: str) -> list[str]:
        """All keys of a bucket, as an independent client lists them."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def asked(self, method: str, key_prefix: str = "", bucket: str | None = None) -> list[Request]:
        """Requests of one method whose key starts so."""
        with self._lock:
            return [
                request
                for request in self.requests
                if request.method == method
                and request.key.startswith(key_prefix)
                and bucket in (None, request.bucket)
            ]

    def n_bytes_read(self, key_prefix: str = "", bucket: str | None = None) -> int:
        """Bytes of objects that were sent out (listings have no key and are not counted)."""
        return sum(r.n_bytes_out for r in self.asked("GET", key_prefix, bucket) if r.key)

    def forget_requests(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.requests.clear()

    def _counting(self, application: Any) -> Callable[..., Iterable[bytes]]:
        def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            bucket, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
            method = environ["REQUEST_METHOD"]
            self.before(method, key)
            n_bytes_in = int(
                environ.get("HTTP_X_AMZ_DECODED_CONTENT_LENGTH")
                or environ.get("CONTENT_LENGTH")
                or 0
            )

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                length = {name.lower(): value for name, value in headers}.get("content-length")
                request = Request(
                    method=method,
                    bucket=bucket,
                    key=key,
                    query=environ.get("QUERY_STRING", ""),
                    status=int(status.split()[0]),
                    n_bytes_in=n_bytes_in,
                    n_bytes_out=int(length or 0) if method == "GET" else 0,
                )
                with self._lock:
                    self.requests.append(request)
                return start_response(status, headers, *rest)

            if bucket in self.closed or (bucket in self.read_only and method in _WRITES):
                # All of it, or the next request on this connection begins with the rest.
                is_chunked = environ.get("wsgi.input_terminated", False)
                environ["wsgi.input"].read(-1 if is_chunked else n_bytes_in)
                length = str(len(_DENIED))
                start("403 Forbidden", [("Content-Type", "text/xml"), ("Content-Length", length)])
                return [_DENIED]
            if self.ignores_conditions:
                for condition in _CONDITIONS:
                    environ.pop(condition, None)
            if any(condition in environ for condition in _CONDITIONS):
                with self._writing:
                    return application(environ, start)
            return application(environ, start)

        return answer


def serve() -> Generator[S3Server]:
    """Run a server on a free port until the generator is closed."""
    from moto.backends import get_backend  # slow, and few tests need it
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    server = S3Server()
    store = server._counting(DomainDispatcherApplication(create_backend_app))

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return server.around(store)(environ, start_response)

    web = make_server("127.0.0.1", 0, application, threaded=True, request_handler=_QuietHandler)
    server._port = web.server_port
    thread = threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        web.shutdown()
        thread.join()
        web.server_close()
        get_backend("s3").reset()


@pytest.fixture
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Generator[S3Server]:
    """A server with no buckets, which this process and its children use as their S3."""
    servers = serve()
    server = next(servers)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_NO_SIGN_REQUEST"):
        monkeypatch.delenv(name, raising=False)
    yield server
    servers.close()
