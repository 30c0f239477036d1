"""What a study's folder notes of its ledger: in which database it is, and by which key.

Studies of one name may share a database, so each has a key of its own, drawn when it begins.

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
    """Where the ledger of a study is, if not in its folder."""

    address: ServerAddress
    key: str
    """No other study of the database has it."""

    def name_in_database(self, name: str) -> str:
        """Return under which name Optuna keeps a study of ours: `best_lead [3f9a01cc]`."""
        return f"{name} [{self.key}]"

    def to_json(self, study: str | None) -> bytes:
        """Write the note; its key has a hash, and its URL none, for a database may be moved.

        Args:
            study: Fingerprint of the study; None: it has not begun.
        """
        sealed = json.loads(sealed_for(study, {"key": self.key}))
        value = {"url": str(self.address), "study": sealed}
        return (json.dumps(value, indent=2) + "\n").encode()


def read_note(folder: StudyFolder) -> NotedServer | None:
    """Read where the ledger of a study is; None: in its folder.

    Raises:
        ArtifactError: The note is damaged, or another study's.
    """
    file = folder.ledger_note
    if not file.exists():
        return None
    with reading(file, "Restore it from a copy: it says where the ledger is.", ArtifactError):
        value = json.loads(file.read_bytes())
        key = unsealed_for(folder.fingerprint, json.dumps(value["study"]).encode())["key"]
        try:
            address = ServerAddress.parse(value["url"])
        except ConfigError as error:
            raise ValueError(f"its url is none of a server: {error}") from error
        return NotedServer(address=address, key=str(key))


def settle_note(folder: StudyFolder, address: ServerAddress | None) -> NotedServer | None:
    """Return where the ledger of a study that is to be driven is; a new one notes it.

    Args:
        folder: Of the study.
        address: What was asked for; None: what is noted, or the folder.

    Raises:
        ConfigError: The study has its ledger somewhere else.
        StoreError: The server or the object store is not there, or refuses.
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
    """Let a note, which is written before its study begins, belong to that study alone.

    Args:
        folder: Where the study begins next.
        config: Of the study.
    """
    noted = read_note(folder)
    if noted is not None:
        folder.ledger_note.write_bytes(noted.to_json(fingerprint_as_read(config)))


def check_note(folder: StudyFolder, noted: NotedServer | None, address: ServerAddress) -> None:
    """Raise where a study has its ledger somewhere else than was asked for.

    Raises:
        ConfigError: Says where.
    """
    if noted is not None and noted.address != address:
        raise ConfigError(
            f"--ledger {address}: the ledger of {folder.root} is at {noted.address}. Leave "
            "--ledger out to go on with it; a ledger that was moved by pg_dump is found by the "
            f"url in {folder.ledger_note.name}."
        )
    own = folder.ledger if folder.root.is_local else folder.shipped_ledger / "head.json"
    if noted is None and own.exists():
        raise ConfigError(
            f"--ledger {address}: {folder.root} has its ledger in the folder already. Leave "
            "--ledger out to go on with it, or give another --out."
        )
