"""Places that hold a copy of a dataset: a web server, an object store, or a folder."""

import contextlib
import re
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter

from mvkt_ray import __version__
from mvkt_ray.errors import ConfigError, StoreError, StoreUnreachableError
from mvkt_ray.phrasing import one_line
from mvkt_ray.storage.location import Location

_CHUNK_BYTES = 1 << 18
_TIMEOUT_S = (15.0, 60.0)
"""Timeouts for connecting, and between two pieces of an answer."""

_BUSY = {408, 425, 429, 500, 502, 503, 504}
"""Answers after which it is worth asking again."""


class TransferError(Exception):
    """A transfer that broke off or was put off; the same again may succeed."""

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s
        """Seconds to wait that the server asks for; None: it asks for none."""


class AbsentError(Exception):
    """The mirror has no such file."""


@dataclass(frozen=True, slots=True)
class Body:
    """The bytes of a file from `start` on."""

    start: int
    """Where they begin: what was asked for, or 0 when the mirror sends whole files only."""
    chunks: Iterator[bytes]


class Mirror(Protocol):
    """A copy of a dataset; used by several threads at once."""

    def open(self, name: str, start: int) -> AbstractContextManager[Body]:
        """Open a file from a byte on.

        Raises:
            AbsentError: There is no such file.
            TransferError: Here or while chunks are taken: it may succeed another time.
            StoreError: It will not succeed.
        """
        ...

    def size_bytes(self, name: str) -> int | None:
        """Return the size of a file; None where the mirror does not say."""
        ...

    def close(self) -> None:
        """End transfers that other threads have under way; they get a `TransferError`."""
        ...

    def __str__(self) -> str: ...


def open_mirror(source: str, n_connections: int) -> Mirror:
    """Return the copy at an `http://` or `https://` URL, a URI of an object store, or a path.

    Raises:
        ConfigError: It is none of these.
    """
    if source.startswith(("http://", "https://")):
        return HttpMirror(source, n_connections)
    if not source:
        raise ConfigError("--from '' names no mirror; give a URL, a URI or a folder.")
    return StoreMirror(Location.parse(source))


class HttpMirror:
    """A folder of a web server; connections are kept, and proxies are those of the environment."""

    def __init__(self, url: str, n_connections: int) -> None:
        parts = urlsplit(url)
        if not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(
                f"--from {url!r} is not a folder of a web server; write it like "
                "https://HOST/FOLDER, without ? and #."
            )
        self._url = url.rstrip("/")
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"mvkt-ray/{__version__}"
        # Compressed transfers would make ranges and sizes those of the compressed bytes.
        self._session.headers["Accept-Encoding"] = "identity"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=n_connections))
        self._under_way: set[requests.Response] = set()

    def __str__(self) -> str:
        return self._url

    @contextlib.contextmanager
    def open(self, name: str, start: int) -> Generator[Body]:
        """See `Mirror`."""
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._answer("GET", name, headers) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                # Nothing is left to send, or our part is longer than the file: its hash will tell.
                yield Body(start, iter(()))
                return
            yield Body(_first_byte(answer, start), self._chunks(answer, name))

    def size_bytes(self, name: str) -> int | None:
        """See `Mirror`."""
        try:
            with self._answer("HEAD", name, {}) as answer:
                length = answer.headers.get("Content-Length", "")
        except (AbsentError, TransferError, StoreError):
            return None
        return int(length) if length.isdigit() else None

    def close(self) -> None:
        """See `Mirror`."""
        for answer in list(self._under_way):
            # Without it a thread waits for a server that says nothing until the time is over.
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                answer.raw.shutdown()

    @contextlib.contextmanager
    def _answer(
        self, method: str, name: str, headers: dict[str, str]
    ) -> Generator[requests.Response]:
        url = f"{self._url}/{quote(name)}"
        try:
            answer = self._session.request(
                method, url, headers=headers, stream=True, timeout=_TIMEOUT_S, allow_redirects=True
            )
        except requests.exceptions.SSLError as error:
            raise StoreError(
                f"{url}: the certificate of the server is not trusted ({_said(error)}). Check the "
                "address and this machine's certificates (REQUESTS_CA_BUNDLE names others)."
            ) from None
        except (requests.ConnectionError, requests.Timeout) as error:
            raise TransferError(f"{url} does not answer ({_said(error)})") from None
        except requests.RequestException as error:
            raise StoreError(f"{url} cannot be opened: {_said(error)}. Check --from.") from None
        with answer:
            self._under_way.add(answer)
            try:
                _check_status(answer, url)
                yield answer
            finally:
                self._under_way.discard(answer)

    def _chunks(self, answer: requests.Response, name: str) -> Iterator[bytes]:
        try:
            yield from answer.iter_content(_CHUNK_BYTES)
        except requests.RequestException as error:
            raise TransferError(f"{self._url}/{name} broke off ({_said(error)})") from None


def _check_status(answer: requests.Response, url: str) -> None:
    status = answer.status_code
    if status in (requests.codes.not_found, requests.codes.gone):
        raise AbsentError(url)
    if status in _BUSY:
        wait = answer.headers.get("Retry-After", "")
        raise TransferError(
            f"{url} answers {status} {answer.reason}", float(wait) if wait.isdigit() else None
        )
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        raise StoreError(
            f"{url}: access is denied ({status} {answer.reason}). Check --from; if the server "
            "requires a user name and a password, put them into ~/.netrc."
        )
    if status >= 400 and status != requests.codes.requested_range_not_satisfiable:
        raise StoreError(f"{url} answers {status} {answer.reason}. Check --from.")


def _first_byte(answer: requests.Response, start: int) -> int:
    if answer.status_code != requests.codes.partial_content:
        return 0
    said = answer.headers.get("Content-Range", "")
    match = re.match(r"bytes (\d+)-", said)
    if match is None or int(match[1]) != start:
        raise TransferError(
            f"{answer.url} was asked for the bytes from {start} on, but sent {said!r}"
        )
    return start


def _said(error: Exception) -> str:
    """Shorten what urllib3 says, which wraps its cause several times."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return one_line(cause)


class StoreMirror:
    """A folder of an object store, or of this machine."""

    def __init__(self, folder: Location) -> None:
        self._folder = folder

    def __str__(self) -> str:
        return str(self._folder)

    @contextlib.contextmanager
    def open(self, name: str, start: int) -> Generator[Body]:
        """See `Mirror`."""
        yield Body(start, self._chunks(self._folder / name, start))

    def _chunks(self, source: Location, start: int) -> Iterator[bytes]:
        try:
            yield from source.chunks(start)
        except FileNotFoundError:
            raise AbsentError(str(source)) from None
        except StoreUnreachableError as error:
            raise TransferError(str(error)) from None

    def close(self) -> None:
        """See `Mirror`; the clients of stores have no way to end a transfer."""

    def size_bytes(self, name: str) -> int | None:
        """See `Mirror`."""
        return (self._folder / name).size_bytes()
