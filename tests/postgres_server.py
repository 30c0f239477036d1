"""A PostgreSQL server of Debian's on this machine, for tests: its own data, port and sockets."""

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.ports import free_port

_USER = "mvkt"
PASSWORD = "planted-password-of-postgres"
_FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
_UNSAFE = "-c fsync=off -c full_page_writes=off -c max_connections=30"


@dataclass(frozen=True)
class PostgresServer:
    """A server that may be stopped and started in the middle of a test."""

    folder: Path
    port: int

    def url(self, database: str) -> str:
        """As `--ledger` takes it."""
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def make_database(self) -> str:
        """Make an empty database; return its URL."""
        with self.connect("postgres") as connection:
            row = connection.execute("SELECT count(*) FROM pg_database").fetchone()
            assert row is not None
            name = f"lab_{row[0]}"
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return self.url(name)

    def connect(self, database: str) -> psycopg.Connection[Any]:
        """Connect as a user of the database does."""
        url = database if "://" in database else self.url(database)
        return psycopg.connect(url, password=PASSWORD, autocommit=True)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 {_UNSAFE}"
        self._control("-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """Stop it, and cut all connections."""
        self._control("-m", "immediate", "stop")

    def _control(self, *words: str) -> None:
        run_as_owner(_FOUND[-1].with_name("pg_ctl"), "-D", self.folder / "data", *words)


def run_as_owner(program: Path, *words: object) -> None:
    """Run a program of the server as another user than root, which it refuses."""
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwnam("postgres")
        user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    # Not captured: the server keeps the descriptors of who starts it.
    done = subprocess.run(
        [program, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd="/", check=False, **user,
    )  # fmt: skip
    assert done.returncode == 0, f"{program.name} {words}"


@contextlib.contextmanager
def running_postgres() -> Generator[PostgresServer]:
    """Start a server that lets `mvkt` in by its password, and remove it in the end."""
    if not _FOUND:
        pytest.skip("PostgreSQL's server is not installed (Debian: postgresql)")
    # Sockets want a short path; pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="mvkt-pg-"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, secret):
                shutil.chown(path, "postgres")
        run_as_owner(
            *(_FOUND[-1], "-D", folder / "data", "-U", _USER, "-A", "scram-sha-256"),
            *("--pwfile", secret, "-E", "UTF8", "--no-sync"),
        )
        server = PostgresServer(folder=folder, port=free_port())
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
