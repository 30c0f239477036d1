"""Serves optuna-dashboard on the ledger of a study, to be looked at and never to be changed.

Optuna's own program writes what its reader clicks: it deletes studies, and makes tables where there
are none. Here a ledger that is a file is copied first, the application is asked by GET and HEAD
alone, and a server is opened for reading. While a local study runs, its copy is made anew as its
page is asked for; one on an object store is as it was when it was restored.

Reads: the ledger of a study. Writes: a temporary copy of it.
"""

import contextlib
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from mvkt_ray.errors import ConfigError
from mvkt_ray.storage.scratch_folder import scratch_folder

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.study_folder import StudyFolder

USUAL_PORT = 8080
"""As Optuna's own; where it is taken, another one is found."""

COPIED_AGAIN_AFTER_S = 5.0
"""How old the copy of a local ledger may be when somebody looks at it."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class LookingOnly:
    """A read-only web application: passes GET and HEAD on, and refuses other requests."""

    def __init__(self, application: Application, freshen: Callable[[], None]) -> None:
        """Stand in front of an application.

        Args:
            application: Takes requests of any kind.
            freshen: Called before a request for data is answered.
        """
        self._application, self._freshen = application, freshen

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request, or refuse one that is not to look."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD")])
            return [b'{"reason": "This dashboard shows a study, and changes nothing of it."}']
        if environ.get("PATH_INFO", "").startswith(("/api/", "/csv/")):
            self._freshen()
        return self._application(environ, start_response)


@contextlib.contextmanager
def dashboard_of(
    folder: "StudyFolder", copied_again_after_s: float = COPIED_AGAIN_AFTER_S
) -> Generator[LookingOnly]:
    """Open the dashboard of a study; its copy is removed in the end.

    Args:
        folder: Of the study.
        copied_again_after_s: How old the copy of a local ledger may be.

    Raises:
        ArtifactError: There is no study, or it has not come to its first trial.
        ConfigError: optuna-dashboard is not installed.
        StoreError: The store or the server of the ledger refuses, or does not answer.
    """
    try:
        with warnings.catch_warnings():
            # Its web framework is older than Python's plans for the next years.
            warnings.simplefilter("ignore")
            from optuna_dashboard import wsgi
    except ImportError as error:
        raise ConfigError(
            f"mvkt dashboard needs optuna-dashboard, which is not installed ({error}). Install it "
            "by pip install 'mvkt-ray[dashboard]', or use `mvkt status` and `mvkt report`."
        ) from None
    from optuna.storages import RDBStorage

    from mvkt_ray.search.ledger.ledger_database import has_ledger, reading
    from mvkt_ray.search.ledger.sqlite_url import path_of, url_of

    folder.expect_study()
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(reading(folder))
        if database.server is not None:
            storage, freshen = database.server.open_storage(), _nothing
        else:
            if folder.root.is_local and not has_ledger(folder):
                raise ConfigError(
                    f"{folder.root} has no ledger yet: the study has not started its first trial. "
                    "Wait for it; `mvkt status` shows the progress."
                )
            scratch = stack.enter_context(scratch_folder("mvkt-dashboard-"))
            source, copy = path_of(database.url), scratch / "ledger.db"
            assert source is not None
            database.copy_to(copy)
            storage = RDBStorage(url_of(copy))
            is_live = folder.root.is_local
            freshen = _Copying(source, copy, copied_again_after_s) if is_live else _nothing
        stack.callback(storage.engine.dispose)
        stack.callback(storage.remove_session)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            application = wsgi(storage)
        yield LookingOnly(application, freshen)


def open_server(application: Application, host: str, port: int | None) -> WSGIServer:
    """Listen for readers; `serve_forever` of what is returned answers them.

    Args:
        application: What answers.
        host: Address of this machine to listen at.
        port: To listen at; 0 for any that is free, None for the usual one or any.

    Raises:
        ConfigError: The port is taken, or the address is none of this machine.
    """
    try:
        return _listen(application, host, USUAL_PORT if port is None else port)
    except (OSError, OverflowError) as error:
        if port is None and isinstance(error, OSError):
            with contextlib.suppress(OSError):
                return _listen(application, host, 0)
        raise ConfigError(
            f"the dashboard cannot listen on {host}:{USUAL_PORT if port is None else port} "
            f"({error}). Give another --port (0: any free one), or another --host address of this "
            "machine."
        ) from None


class _Server(ThreadingMixIn, WSGIServer):
    """Answers several readers at once, and waits for none of them in the end."""

    daemon_threads = True
    block_on_close = False


class _Silent(WSGIRequestHandler):
    """Writes no line for each request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _listen(application: Application, host: str, port: int) -> WSGIServer:
    return make_server(host, port, application, server_class=_Server, handler_class=_Silent)


class _Copying:
    """Copies a ledger over its copy, when that is too old."""

    def __init__(self, source: Path, copy: Path, after_s: float) -> None:
        self._source, self._copy, self._after_s = source, copy, after_s
        self._copied_at = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            if time.monotonic() - self._copied_at < self._after_s:
                return
            with (
                contextlib.closing(sqlite3.connect(self._source)) as source,
                contextlib.closing(sqlite3.connect(self._copy)) as copy,
            ):
                source.backup(copy)
            self._copied_at = time.monotonic()


def _nothing() -> None:
    """Leave the data as they are."""
