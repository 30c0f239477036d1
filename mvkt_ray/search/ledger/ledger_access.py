"""Where a study's ledger is written and read.

Of a study in a folder: there. Of a study on an object store: on this machine, restored from the
store, and shipped to it.

Reads and writes: `ledger.db` of a local study; the objects under `ledger/` of one on a store.
"""

import contextlib
import logging
import sqlite3
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.errors import ArtifactError, MvktError
from mvkt_ray.search.ledger.lease import Lease, LeaseTimes
from mvkt_ray.search.ledger.ledger_shipping import Shipment
from mvkt_ray.search.ledger.shipped_ledger import restore
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.artifacts import holding
from mvkt_ray.storage.location import Location

_SQLITE = "sqlite:///"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LedgerAccess:
    """Where a driver writes its ledger."""

    url: str
    """Of SQLAlchemy."""
    shipment: Shipment | None = None
    """Where it goes, too, before it counts; None: what is written there counts."""


@contextlib.contextmanager
def driving(folder: StudyFolder, times: LeaseTimes | None = None) -> Generator[LedgerAccess]:
    """Be the only driver of a study, and have its ledger, as it is, to write to.

    Args:
        folder: Of the study, which need not be there yet.
        times: Of the lease of a study on a store.

    Raises:
        ArtifactError: Another driver has it, or the ledger is damaged.
        StoreError: The store refuses, or did not answer for too long.
    """
    if folder.root.is_local:
        with holding(folder.root):
            yield LedgerAccess(folder.ledger_url)
        return
    with tempfile.TemporaryDirectory(prefix="mvkt-ledger-") as scratch:
        lease = Lease.take(folder.shipped_ledger, times)
        try:
            database = Path(scratch) / "ledger.db"
            restored = restore(folder.shipped_ledger, database)
            shipment = Shipment(
                folder.shipped_ledger, database, restored, may_write=lease.expect_held
            )
            try:
                yield LedgerAccess(_url(database), shipment)
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
def reading(folder: StudyFolder) -> Generator[str]:
    """Have the URL of a study's ledger, to look at it only; another process may be writing it.

    Raises:
        ArtifactError: A study on a store has not come to its first trial, or is damaged.
        StoreError: The store refuses, or does not answer.
    """
    if folder.root.is_local:
        yield folder.ledger_url
        return
    with tempfile.TemporaryDirectory(prefix="mvkt-ledger-") as scratch:
        database = Path(scratch) / "ledger.db"
        if restore(folder.shipped_ledger, database) is None:
            raise ArtifactError(
                f"{folder.root} has no ledger yet: the study has not come to its first trial. Go "
                f"on with it: mvkt search --resume --out {folder.root}"
            )
        yield _url(database)


def copy_ledger(folder: StudyFolder, file: Path) -> None:
    """Write the ledger of a study, as it is now, to a file that optuna-dashboard opens.

    Raises:
        ArtifactError: The study has not come to its first trial, or its ledger is damaged; the file
            is there already, or cannot be made.
        StoreError: The store refuses, or does not answer.
    """
    if file.exists():
        raise ArtifactError(f"{file} is there already. Give the name of a new file.")
    with reading(folder) as url:
        original = Path(url.removeprefix(_SQLITE))
        try:
            with (
                Location.parse(file).writing_aside() as aside,
                contextlib.closing(sqlite3.connect(original)) as source,
                contextlib.closing(sqlite3.connect(aside)) as target,
            ):
                source.backup(target)
        except OSError as error:
            raise ArtifactError(
                f"{file} cannot be written ({error.strerror}). Give a file in a folder that you "
                "may write to."
            ) from None


def _url(database: Path) -> str:
    return f"{_SQLITE}{database}"
