"""The database of a study's ledgers: that of its search, and one of each round of its finals.

Of a study in a folder it is a file there. Of a study on an object store it is a copy on this
machine: restored once, when a command opens it, and what a driver writes is shipped to the store.
Of a study that was begun with `--ledger` it is on a PostgreSQL server, wherever the folder is.

Reads and writes: `ledger.db` of a local study; the objects under `ledger/` of one on a store; or
the database that `ledger.json` names.
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
    """A database that is open to a command, for all that the command does with ledgers."""

    url: str
    """As SQLAlchemy opens it."""
    shipment: Shipment | None = None
    """Ships what is written to the object store, where alone it counts; None: it counts here."""
    server: ServerLedger | None = None
    """The server that has it; None: it is a file."""

    @classmethod
    def on_server(cls, server: ServerLedger) -> "LedgerDatabase":
        """Return the database of a study on a server."""
        return cls(server.noted.address.optuna_url, server=server)

    def key_of(self, study: str) -> str:
        """Return under which name Optuna keeps a study; databases of a server hold many."""
        return study if self.server is None else self.server.noted.name_in_database(study)

    @property
    def name(self) -> str:
        """As a person knows it: the path of a file, else the URL."""
        return str(path_of(self.url) or self.url)

    @property
    def is_empty(self) -> bool:
        """Whether no ledger was written to it yet.

        A shipment keeps its database open, so that there is a file before there is a table.
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
            # Damaged: whoever opens it says so.
            return False

    def copy_to(self, file: Path) -> None:
        """Write all ledgers, as they are now, to a new file that optuna-dashboard opens.

        Raises:
            ArtifactError: The file is there already, or cannot be made.
            ConfigError: The ledger is on a server, where it is opened as it is.
        """
        if self.server is not None:
            raise ConfigError(
                f"the ledger is no file that is copied: optuna-dashboard opens it by {self.url}, "
                "and pg_dump copies it. Leave --ledger-copy out."
            )
        path = path_of(self.url)
        assert path is not None
        advice = "Give a file in a folder that you may write to."
        check_writable_folder(file.absolute().parent, advice)
        with writing(file, advice):
            if file.exists():
                raise ArtifactError(f"{file} is there already. Give the name of a new file.")
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
    """Be the only driver of a study in the block, and write its ledgers.

    Args:
        folder: Of the study.
        times: Of the lease of a study on a store.
        begins: The study need not be on the store yet.
        server: Where the ledger of a study that begins is to be; None: in its folder.
        patience: With a server that is away for a while.

    Raises:
        ArtifactError: Another driver has it, or the ledger is damaged or, unless the study may
            begin, not there yet.
        ConfigError: The ledger is somewhere else than on the server that was asked for.
        StoreError: The store or the server refuses, or did not answer for too long.
    """
    with contextlib.ExitStack() as stack:
        if folder.root.is_local:
            stack.enter_context(holding(folder.root))
        noted = settle_note(folder, server)
        if noted is not None:
            what, patience = str(folder.root), patience or Patience()
            on_server = stack.enter_context(driving_on_server(noted, what, patience))
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
    """Read a study's ledgers in the block; another process may be writing them meanwhile.

    Of a study on a store the block sees one moment; nothing is written there, the lease included.

    Raises:
        ArtifactError: A study on a store has not come to its first trial, or is damaged.
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
    """Whether a study has come to its first trial."""
    noted = read_note(folder)
    if noted is not None:
        return not ServerLedger(noted=noted).is_empty
    if folder.root.is_local:
        return folder.ledger.exists()
    return read_head(folder.shipped_ledger) is not None


def is_driven(folder: StudyFolder) -> bool:
    """Whether a search or finals of a study run now, as far as can be seen without writing."""
    noted = read_note(folder)
    if noted is not None:
        return is_driven_on_server(noted)
    return is_held(folder.root) if folder.root.is_local else is_leased(folder.shipped_ledger)


def _mended_copy(file: Path, copy: Path) -> Path | None:
    """Copy a ledger that a killed driver left in the middle of a transaction, to be mended there.

    None where it can be read or mended in its place; where it may only be read, it cannot.
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
        # Last: SQLite undoes by it what was half written.
        shutil.copyfile(journal, copy.with_name(f"{copy.name}-journal"))
        return copy
    return None


def _no_ledger(folder: StudyFolder) -> ArtifactError:
    return ArtifactError(
        f"{folder.root} has no ledger yet: the study has not come to its first trial. Go on with "
        f"it: {folder.resume_line}"
    )
