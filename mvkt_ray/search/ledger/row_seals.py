"""Hashes in the rows of a ledger: a flipped bit in a number is known, and never another number.

SQLite knows by itself when its pages do not fit together; what stands in them it does not compare.
So each trial has a hash of what it is, from the transaction that creates it; its result one of all
that was written about it; and each note one of its own. They take no writes of their own. What a
trial reports while it runs has none until it ends.
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
"""Attribute of a trial, and key in its result: the hash."""

_VALUE = "value"


def trial_seal(trial: Trial, drawn: Sequence[str]) -> str:
    """Return the hash of what a trial is, and of the names of what was drawn for it."""
    return fingerprint_of([trial.to_json(), sorted(drawn)])


def sealed_result(record: TrialRecord, result: TrialResult) -> dict[str, Any]:
    """Return a result as plain values, with the hash of all that was written about its trial."""
    return {**result.to_json(), SEAL: _outcome_seal(record, result)}


def expect_sealed(record: TrialRecord, attributes: Mapping[str, Any]) -> None:
    """Raise unless a trial that was read is the one that was written.

    Args:
        record: As it was read.
        attributes: That it was read from.

    Raises:
        ValueError: It was changed since.
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
    """Return a note as it is stored."""
    # As JSON gives it back, where keys are texts and in the order of texts.
    plain = json.loads(json.dumps(value))
    return {_VALUE: plain, SEAL: fingerprint_of([study, key, plain])}


def unsealed_notes(study: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the notes of a study by key.

    Raises:
        ValueError: One was changed since it was written.
    """
    for key, note in stored.items():
        # No KeyError, which is how Optuna says that there is no such study.
        if not isinstance(note, dict) or not {_VALUE, SEAL} <= cast(dict[str, Any], note).keys():
            raise ValueError(f"the note {key!r} has no hash")
        if note[SEAL] != fingerprint_of([study, key, note[_VALUE]]):
            raise ValueError(f"the note {key!r} has another hash than was written with it")
    return {key: note[_VALUE] for key, note in stored.items()}


def expect_sound_pages(engine: sqlalchemy.Engine) -> None:
    """Let SQLite compare its pages and indices; other databases do that by themselves.

    Raises:
        ValueError: They do not fit together.
    """
    if engine.dialect.name != "sqlite":
        return
    with engine.connect() as connection:
        said = connection.execute(sqlalchemy.text("PRAGMA integrity_check(1)")).scalar_one()
    if said != "ok":
        raise ValueError(f"its pages are damaged: {said}")


def _outcome_seal(record: TrialRecord, result: TrialResult) -> str:
    told = [
        record.trial.to_json(),
        sorted(record.drawn),
        without_nan({str(epoch): value for epoch, value in record.values.items()}),
        record.unscored_epoch,
        list(record.failures),
        record.usage.to_json(),
        [record.decided_epoch, record.pruned_at, without_nan(record.pruner_memory)],
        result.to_json(),
    ]
    return fingerprint_of(told)
