"""Hashes in the rows of a ledger, which detect changed values such as a flipped bit in a number.

SQLite checks the structure of its pages, not the values in them. So a trial has a hash of its
condition and hyper-parameters from the transaction that creates it, its result a hash of everything
written about the trial, and each note a hash of its own. The hashes need no writes of their own.
The reports of a running trial have no hash until the trial ends.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import sqlalchemy

from mvkt_ray.json_values import without_nan
from mvkt_ray.records import Trial, TrialResult
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.manifest import fingerprint_of

SEAL = "seal"
"""Attribute of a trial, and key in its result and in a note: the hash."""

_VALUE = "value"


def trial_seal(trial: Trial, drawn: Sequence[str]) -> str:
    """Return the hash of a trial and of the names of its drawn hyper-parameters."""
    return fingerprint_of([trial.to_json(), sorted(drawn)])


def sealed_result(record: TrialRecord, result: TrialResult) -> dict[str, Any]:
    """Return a result as plain values, with the hash of everything written about its trial."""
    return {**result.to_json(), SEAL: _outcome_seal(record, result)}


def expect_sealed(record: TrialRecord, attributes: Mapping[str, Any]) -> None:
    """Raise unless a trial's hash matches its content.

    Args:
        record: The trial as read.
        attributes: Optuna's user attributes of the trial, from which it was read.

    Raises:
        ValueError: The trial was changed after it was written.
    """
    if record.result is not None:
        found, right = attributes["result"][SEAL], _outcome_seal(record, record.result)
    elif record.ended_at is not None:
        raise ValueError(f"trial {record.number} has ended, and its result is missing")
    else:
        found, right = attributes[SEAL], trial_seal(record.trial, tuple(record.drawn))
    if found != right:
        raise ValueError(f"trial {record.number} has another hash than was written with it")


def sealed_note(study: str, key: str, value: object) -> dict[str, object]:
    """Return a note with its hash, as it is stored."""
    # A round trip through JSON: the hash must be that of the note as read, with keys as strings.
    plain = json.loads(json.dumps(value))
    return {_VALUE: plain, SEAL: fingerprint_of([study, key, plain])}


def unsealed_notes(study: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notes of a study by key.

    Raises:
        ValueError: A note was changed after it was written.
    """
    for key, note in stored.items():
        # Not a KeyError, by which Optuna reports a missing study.
        if not isinstance(note, dict) or not {_VALUE, SEAL} <= cast(dict[str, Any], note).keys():
            raise ValueError(f"the note {key!r} has no hash")
        if note[SEAL] != fingerprint_of([study, key, note[_VALUE]]):
            raise ValueError(f"the note {key!r} has another hash than was written with it")
    return {key: note[_VALUE] for key, note in stored.items()}


def expect_sound_pages(engine: sqlalchemy.Engine) -> None:
    """Let SQLite check its pages and indices; PostgreSQL reports damaged pages itself.

    Raises:
        ValueError: A page or an index is damaged.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        finding = connection.execute(sqlalchemy.text("PRAGMA integrity_check(1)")).scalar_one()
    if finding != "ok":
        raise ValueError(f"its pages are damaged: {finding}")


def _outcome_seal(record: TrialRecord, result: TrialResult) -> str:
    written = [
        record.trial.to_json(),
        sorted(record.drawn),
        without_nan({str(epoch): value for epoch, value in record.values.items()}),
        record.unscored_epoch,
        list(record.failures),
        record.usage.to_json(),
        [record.decided_epoch, record.pruned_at, without_nan(record.pruner_memory)],
        result.to_json(),
    ]
    return fingerprint_of(written)
