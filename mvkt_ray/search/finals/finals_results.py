"""Results of finals: all predictions of all students on the validation and the test split.

Reads: the ledger of completed finals, and the Arrow files of their trainings. Nothing here opens
the test split: what is read was written by the examination.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvkt_ray.errors import StaleArtifactError
from mvkt_ray.records import TrialState
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_plan import Contender
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.study_folder import FinalsFolder, StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import fingerprint_of
from mvkt_ray.training.predictions_file import StoredPredictions, read_predictions
from mvkt_ray.training.trial_files import TrialFolder

Key = tuple[str, str]
"""Name of a contender, and of its condition."""

OPENING, WEIGHTS = "opening", "weights"
"""Keys of a file's metadata: the seal of its opening, and the hash of the predicting weights."""

_ADVICE = "It was changed after the examination: restore it from a copy."


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Examined:
    """All predictions on one split.

    Shapes: N recordings, C classes, R seeds of a contender.
    """

    record_ids_N: NDArray[Any]
    patient_ids_N: NDArray[Any]
    labels_NC: NDArray[np.float32]
    scores: Mapping[Key, NDArray[np.float32]]
    """By contender and condition: float32 `[R, N, C]`, probabilities, seed by seed. Contenders
    without a complete training are missing."""
    seeds: Mapping[Key, tuple[int, ...]]
    """The repetition of each row of `scores`; equal repetitions of contenders are pairs."""
    teacher_NC: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FinalsResults:
    """Finals whose examination is over."""

    number: int
    plan: tuple[Contender, ...]
    records: tuple[TrialRecord, ...]
    openings: tuple[Opening, ...]
    """All of the study so far, in their order; the last completed one is of these finals."""
    classes: tuple[str, ...]
    answer: str
    """Name of the contender by which leads are ranked."""
    refit: bool
    """Trained on the training and validation splits, so that validation scores are in-sample."""
    test: Examined
    validation: Examined


def read_finals(folder: StudyFolder, ledgers: Sequence[FinalsLedger]) -> FinalsResults | None:
    """Return the newest finals whose examination is over; None before there are any.

    Args:
        folder: Of the study.
        ledgers: Of all its finals, by number.

    Raises:
        ArtifactError: A file is missing or cannot be read.
        StaleArtifactError: Predictions are of other recordings than those beside them, or were
            changed since the examination.
    """
    # An opening without its completion has only a part of its predictions.
    completed = [each for each in ledgers if each.opening and each.opening.completed_at]
    if not completed:
        return None
    return _read(folder.final(completed[-1].number), completed[-1], openings_of(ledgers))


def openings_of(ledgers: Sequence[FinalsLedger]) -> tuple[Opening, ...]:
    """Return every opening of the test split, in their order."""
    return tuple(ledger.opening for ledger in ledgers if ledger.opening is not None)


def hash_of_all(hashes: Mapping[int | None, str]) -> str:
    """Return one hash over the predictions on the test split, by training; None is the teacher."""
    return fingerprint_of({str(number): sha256 for number, sha256 in hashes.items()})


def _read(
    folder: FinalsFolder, ledger: FinalsLedger, openings: tuple[Opening, ...]
) -> FinalsResults:
    assert ledger.opening is not None
    seal = {OPENING: ledger.opening.seal}
    teacher = _read_tagged(folder.teacher_test, seal)
    test: dict[int, StoredPredictions] = {}
    validation: dict[int, StoredPredictions] = {}
    complete = [record for record in ledger.records if record.state is TrialState.COMPLETE]
    for record in complete:
        assert record.result is not None
        files = TrialFolder.of(folder.trials, record.number)
        validation[record.number] = files.read_validation(record.result)
        stored = files.read_result(record.result)
        weights = {} if stored is None else {WEIGHTS: stored.files[files.student.name]}
        test[record.number] = _read_tagged(folder.test(record.number), seal | weights)
    _expect_unchanged(folder, ledger, test, teacher)
    finals = ledger.facts["finals"]
    return FinalsResults(
        number=ledger.number,
        plan=ledger.plan,
        records=tuple(ledger.records),
        openings=openings,
        classes=teacher.classes,
        answer=finals["answer"],
        refit=finals["refit"],
        test=_gather(complete, test, teacher, folder.root),
        validation=_gather(
            complete, validation, _read_tagged(folder.teacher_validation, seal), folder.root
        ),
    )


def _read_tagged(location: Location, tags: Mapping[str, str]) -> StoredPredictions:
    """Return predictions; raise unless they have the tags of this examination and these weights."""
    found = read_predictions(location)
    if any(found.tags.get(key) != value for key, value in tags.items()):
        raise StaleArtifactError(f"{location} is of another model or examination. {_ADVICE}")
    return found


def _expect_unchanged(
    folder: FinalsFolder,
    ledger: FinalsLedger,
    test: Mapping[int, StoredPredictions],
    teacher: StoredPredictions,
) -> None:
    hashes: dict[int | None, str] = {None: teacher.sha256}
    hashes |= {number: each.sha256 for number, each in test.items()}
    assert ledger.opening is not None
    if hash_of_all(hashes) != ledger.opening.predictions:
        raise StaleArtifactError(
            f"the predictions in {folder.root} do not match their hashes in the ledger: they were "
            "changed after the examination. Restore the folder from a copy."
        )


def _gather(
    records: Sequence[TrialRecord],
    found: Mapping[int, StoredPredictions],
    teacher: StoredPredictions,
    folder: Location,
) -> Examined:
    """Stack the predictions of a split; all must be of the same recordings in the same order."""
    by_key: dict[Key, list[tuple[int, NDArray[np.float32]]]] = {}
    for record in records:
        own = found[record.number]
        _expect_same_recordings(own, teacher, f"final {record.number} in {folder}")
        key = (record.trial.contender, record.condition)
        by_key.setdefault(key, []).append((record.trial.repetition, own.probabilities_NC))
    ordered = {key: sorted(rows, key=lambda row: row[0]) for key, rows in by_key.items()}
    return Examined(
        record_ids_N=teacher.record_ids_N,
        patient_ids_N=teacher.patient_ids_N,
        labels_NC=teacher.labels_NC,
        scores={key: np.stack([values for _, values in rows]) for key, rows in ordered.items()},
        seeds={key: tuple(seed for seed, _ in rows) for key, rows in ordered.items()},
        teacher_NC=teacher.probabilities_NC,
    )


def _expect_same_recordings(
    found: StoredPredictions, teacher: StoredPredictions, whose: str
) -> None:
    same = (
        np.array_equal(found.record_ids_N, teacher.record_ids_N)
        and np.array_equal(found.labels_NC, teacher.labels_NC)
        and found.classes == teacher.classes
    )
    if not same:
        raise StaleArtifactError(
            f"the predictions of {whose} are of {len(found.record_ids_N)} recordings, whose ids, "
            "order or labels differ from the teacher's. The files were changed after the "
            "examination; restore them from a copy."
        )
