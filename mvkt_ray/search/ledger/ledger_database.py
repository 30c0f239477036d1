"""The database of a study's ledgers: the ledger of its search, and one of each round of its finals.

- A study in a local folder: a SQLite file in the folder.
- A study in an object store: a SQLite file on this machine, restored from the store when a command
  opens it; a driver's writes are shipped to the store.
- A study begun with `--ledger`: a database on a PostgreSQL server, wherever the folder is.

Reads and writes: `ledger.db` of a local study; the objects under `ledger/` of a study in a store;
or the database that `ledger.json` names.
"""

import contextlib
import logging
import shutil
import sqlite3
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.errors import ArtifactError, ConfigError, MvktError
from mvkt_ray.file_guards import check_writable_folder, writing
from mvkt_ray.search.ledger.lease import Lease, LeaseTimes, is_leased
from mvkt_ray.search.ledger.ledger_shipping import Shipment, connect
from mvkt_ray.search.ledger.postgres.noted_server import read_note, settle_note
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from mvkt_ray.search.ledger.postgres.server_ledger import (
    ServerLedger,
    driving_on_server,
    is_driven_on_server,
)
from mvkt_ray.search.ledger.shipped_ledger import claim, read_head, restore
from mvkt_ray.search.ledger.sqlite_url import path_of, url_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.output_lock import holding, is_held
from mvkt_ray.storage.scratch_folder import scratch_folder

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerDatabase:
    """A database of ledgers, open to a command."""

    url: str
    """For SQLAlchemy."""
    shipment: Shipment | None = None
    """Ships writes to the object store; None: the database is read only, or not shipped."""
    server: ServerLedger | None = None
    """The database's server; None: it is a file."""

    @classmethod
    def on_server(cls, server: ServerLedger) -> "LedgerDatabase":
        """Return the database of a study on a server."""
        return cls(server.noted.address.optuna_url, server=server)

    def key_of(self, study: str) -> str:
        """Return Optuna's name of a study; on a shared server it has the study's key."""
        return study if self.server is None else self.server.noted.name_in_database(study)

    @property
    def name(self) -> str:
        """Path of a file, else the URL; for messages."""
        return str(path_of(self.url) or self.url)

    @property
    def is_empty(self) -> bool:
        """Whether it has no ledger yet.

        A shipment's database file exists before its tables: the shipment holds a connection.
        """
        if self.server is not None:
            return self.server.is_empty
        path = path_of(self.url)
        if path is None:
            return False
        if self.shipment is None or not path.exists():
            return not path.exists()
        try:
            with contextlib.closing(connect(path)) as connection:
                return connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
        except sqlite3.DatabaseError:
            # Damaged: opening it raises the explained error.
            return False

    def copy_to(self, file: Path) -> None:
        """Write the current content of all ledgers to a new file, for optuna-dashboard.

        Raises:
            ArtifactError: The file exists already, or cannot be written.
            ConfigError: The ledger is on a server, where optuna-dashboard opens it directly.
        """
        if self.server is not None:
            raise ConfigError(
                "the ledger is in a PostgreSQL database, not in a file: optuna-dashboard opens "
                f"{self.url}, and pg_dump copies it. Leave --ledger-copy out."
            )
        path = path_of(self.url)
        assert path is not None
        advice = "Give a file in a folder that you may write to."
        check_writable_folder(file.absolute().parent, advice)
        with writing(file, advice):
            if file.exists():
                raise ArtifactError(f"{file} exists already. Give the name of a new file.")
        with (
            writing(file, advice),
            Location.parse(file).writing_aside() as aside,
            contextlib.closing(sqlite3.connect(path)) as source,
            contextlib.closing(sqlite3.connect(aside)) as target,
        ):
            source.backup(target)


@contextlib.contextmanager
def driving(
    folder: StudyFolder,
    times: LeaseTimes | None = None,
    *,
    begins: bool = True,
    server: ServerAddress | None = None,
    patience: Patience | None = None,
) -> Generator[LedgerDatabase]:
    """Hold the right of the study's only driver in the block, and yield its ledgers for writing.

    Args:
        folder: Folder of the study.
        times: Times of the lease, of a study in a store.
        begins: Whether a study in a store may be without a ledger.
        server: Server for the ledger of a new study; None: the ledger is in the study's folder.
        patience: Waiting times for a server that is away.

    Raises:
        ArtifactError: Another driver has the study; the ledger is damaged; or it is missing, and
            `begins` is false.
        ConfigError: The study's ledger is not on `server`.
        StoreError: The store or the server refuses, or did not answer in time.
    """
    with contextlib.ExitStack() as stack:
        if folder.root.is_local:
            stack.enter_context(holding(folder.root))
        noted = settle_note(folder, server)
        if noted is not None:
            named, patience = str(folder.root), patience or Patience()
            on_server = stack.enter_context(driving_on_server(noted, named, patience))
            yield LedgerDatabase.on_server(on_server)
            return
        if folder.root.is_local:
            yield LedgerDatabase(folder.ledger_url)
            return
        yield stack.enter_context(_driving_on_store(folder, times, begins=begins))


@contextlib.contextmanager
def _driving_on_store(
    folder: StudyFolder, times: LeaseTimes | None, *, begins: bool
) -> Generator[LedgerDatabase]:
    if not begins and not has_ledger(folder):
        raise _no_ledger(folder)
    with scratch_folder("mvkt-ledger-") as scratch:
        lease = Lease.take(folder.shipped_ledger, times)
        try:
            database = scratch / "ledger.db"
            claimed = claim(folder.shipped_ledger)
            restore(folder.shipped_ledger, database)
            shipment = Shipment(
                folder.shipped_ledger, database, claimed, may_write=lease.expect_held
            )
            try:
                yield LedgerDatabase(url_of(database), shipment)
            except BaseException:
                try:
                    shipment.close()
                except MvktError as error:
                    _LOG.warning("the last reports are not on the store: %s", error)
                raise
            shipment.close()
        finally:
            lease.give_back()


@contextlib.contextmanager
def reading(folder: StudyFolder) -> Generator[LedgerDatabase]:
    """Yield a study's ledgers for reading; another process may be writing them meanwhile.

    In an object store nothing is written, not even a lease; the block sees one point in time.

    Raises:
        ArtifactError: A study in a store has no trial yet, or is damaged.
        StoreError: The store or the server refuses, or does not answer.
    """
    noted = read_note(folder)
    if noted is not None:
        yield LedgerDatabase.on_server(ServerLedger(noted=noted))
        return
    with scratch_folder("mvkt-ledger-") as scratch:
        database = scratch / "ledger.db"
        if folder.root.is_local:
            file = folder.ledger.local_path
            yield LedgerDatabase(url_of(_mended_copy(file, database) or file))
            return
        if restore(folder.shipped_ledger, database) is None:
            raise _no_ledger(folder)
        yield LedgerDatabase(url_of(database))


def has_ledger(folder: StudyFolder) -> bool:
    """Whether a study has a ledger: it has one from its first trial on."""
    noted = read_note(folder)
    if noted is not None:
        return not ServerLedger(noted=noted).is_empty
    if folder.root.is_local:
        return folder.ledger.exists()
    return read_head(folder.shipped_ledger) is not None


def is_driven(folder: StudyFolder) -> bool:
    """Whether a search or finals of a study run now, as far as reading alone shows."""
    noted = read_note(folder)
    if noted is not None:
        return is_driven_on_server(noted)
    return is_held(folder.root) if folder.root.is_local else is_leased(folder.shipped_ledger)


def _mended_copy(file: Path, copy: Path) -> Path | None:
    """Copy a ledger with an unfinished transaction of a killed driver, so that SQLite mends it.

    Returns:
        The copy, where the ledger is read-only; None: SQLite reads or mends the file in its place.
    """
    journal = file.with_name(f"{file.name}-journal")
    if not journal.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            return None
        shutil.copyfile(file, copy)
        # Last: from the journal SQLite rolls the unfinished transaction back.
        shutil.copyfile(journal, copy.with_name(f"{copy.name}-journal"))
        return copy
    return None


def _no_ledger(folder: StudyFolder) -> ArtifactError:
    return ArtifactError(
        f"{folder.root} has no ledger yet: the study has not started its first trial. Continue "
        f"it by: {folder.resume_line}"
    )
