"""The note in a study's folder on its ledger: the database, and the study's key in it.

Studies of the same name may share a database, so each has a random key, drawn when it begins.

Reads and writes: `ledger.json` of a study.
"""

import json
import secrets
from dataclasses import dataclass

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.file_guards import reading
from mvkt_ray.search.ledger.postgres.driver_lock import exclusively
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.study_identity import fingerprint_as_read, sealed_for, unsealed_for


@dataclass(frozen=True, kw_only=True, slots=True)
class NotedServer:
    """The database of a study whose ledger is on a server."""

    address: ServerAddress
    key: str
    """Unique among the studies of the database."""

    def name_in_database(self, name: str) -> str:
        """Return Optuna's name of a study: `best_lead [3f9a01cc]`."""
        return f"{name} [{self.key}]"

    def to_json(self, study: str | None) -> bytes:
        """Return the note as JSON; the URL is not sealed, since a database may be moved.

        Args:
            study: Fingerprint of the study; None: it has not begun.
        """
        sealed = json.loads(sealed_for(study, {"key": self.key}))
        value = {"url": str(self.address), "study": sealed}
        return (json.dumps(value, indent=2) + "\n").encode()


def read_note(folder: StudyFolder) -> NotedServer | None:
    """Return the note on the server of a study's ledger; None: the ledger is in the folder.

    Raises:
        ArtifactError: The note is damaged, or belongs to another study.
    """
    file = folder.ledger_note
    if not file.exists():
        return None
    with reading(file, "Restore it from a copy: it names the ledger's database.", ArtifactError):
        value = json.loads(file.read_bytes())
        key = unsealed_for(folder.fingerprint, json.dumps(value["study"]).encode())["key"]
        try:
            address = ServerAddress.parse(value["url"])
        except ConfigError as error:
            raise ValueError(f"its url is not that of a PostgreSQL server: {error}") from error
        return NotedServer(address=address, key=str(key))


def settle_note(folder: StudyFolder, address: ServerAddress | None) -> NotedServer | None:
    """Return the note on the server of a driver's study; write it if the study is new.

    Args:
        folder: Folder of the study.
        address: The address given by the user; None: that of the note, if there is one.

    Returns:
        The note; None: the ledger is in the folder.

    Raises:
        ConfigError: The study's ledger is not at `address`.
        StoreError: The server or the object store is away, or refuses.
    """
    noted = read_note(folder)
    if address is None:
        return noted
    check_note(folder, noted, address)
    if noted is not None:
        return noted
    with exclusively(address, str(folder.root)):
        # Two drivers on two machines may begin the same study on an object store.
        noted = read_note(folder)
        if noted is None:
            noted = NotedServer(address=address, key=secrets.token_hex(4))
            folder.root.make_directory()
            folder.ledger_note.write_bytes(noted.to_json(folder.fingerprint))
    check_note(folder, noted, address)
    return noted


def bind_note(folder: StudyFolder, config: StudyConfig) -> None:
    """Bind the note, which is written before its study begins, to the study.

    Args:
        folder: Folder of the study.
        config: The study's configuration.
    """
    noted = read_note(folder)
    if noted is not None:
        folder.ledger_note.write_bytes(noted.to_json(fingerprint_as_read(config)))


def check_note(folder: StudyFolder, noted: NotedServer | None, address: ServerAddress) -> None:
    """Raise unless the ledger of a study is at an address, or the study is new.

    Raises:
        ConfigError: The ledger is elsewhere; the message has its place.
    """
    if noted is not None and noted.address != address:
        raise ConfigError(
            f"--ledger {address}: the ledger of {folder.root} is at {noted.address}. Leave "
            "--ledger out to continue the study there; after moving the database by pg_dump, "
            f"change the url in {folder.ledger_note.name}."
        )
    own = folder.ledger if folder.root.is_local else folder.shipped_ledger / "head.json"
    if noted is None and own.exists():
        raise ConfigError(
            f"--ledger {address}: {folder.root} has its ledger in the folder already. Leave "
            "--ledger out to continue the study, or give another --out."
        )
