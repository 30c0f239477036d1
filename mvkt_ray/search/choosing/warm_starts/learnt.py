"""Warm-starts a study with the trials of another one: `search.learn_from`.

The trials of the other study are copied when this one is planned, and sealed in its folder, so that
proposals do not depend on the later fate of the other study. They precede the study's own trials in
the sampler's history, centred by the medians of their conditions there. They are never trials of
this study: no table, final, number or limit of it includes them.

Reads: the study file and the ledger of the other study, once. Writes: `learnt.json` of this one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from optuna.trial import FrozenTrial

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.file_guards import reading as reading_file
from mvkt_ray.json_values import without_nan
from mvkt_ray.phrasing import listing
from mvkt_ray.records import Arm, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.parameters import contains
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.trial_history import MOST_SEEN, history_for
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import fingerprint_of
from mvkt_ray.storage.sealed import sealed_json, unsealed_json

KIND = "trials that are learnt from"
"""As an input of a study, beside shards and teacher: what it may not be resumed without."""

_SHARE_SEEN = 0.5
"""Of the trials that a sampler sees at most, those of the other study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Learnt:
    """Trials of another study, numbered anew from 0."""

    study: str
    """Where it was, for people."""
    records: tuple[TrialRecord, ...]
    """Its baselines, for the levels of its conditions, and the search trials that fit."""
    n_left_out: int
    """Search trials that ended, and do not fit."""

    @property
    def n_trials(self) -> int:
        """How many trials are learnt from."""
        return sum(record.trial.arm is Arm.SEARCH for record in self.records)

    @property
    def fingerprint(self) -> str:
        """A hash of all that is learnt from."""
        return fingerprint_of([_to_json(record) for record in self.records])

    def history(self, config: StudyConfig, space: SearchSpace) -> list[FrozenTrial]:
        """Return what a sampler of a study sees of them; the numbers start at 1."""
        search = config.search
        most = int(_SHARE_SEEN * MOST_SEEN[search.sampler])
        return history_for(search.sampler, space, self.records, search.objectives, most=most)

    def write(self, file: Location) -> None:
        """Seal them in the folder of the study that learns."""
        value = {
            "study": self.study,
            "n_left_out": self.n_left_out,
            "trials": [_to_json(record) for record in self.records],
        }
        file.write_bytes(sealed_json(value))

    @classmethod
    def read(cls, file: Location) -> "Learnt":
        """Read what `write` wrote.

        Raises:
            ArtifactError: It was changed since, or is something else.
        """
        advice = "The study cannot be resumed without it: restore it from a copy."
        with reading_file(file, advice, ArtifactError):
            value = unsealed_json(file.read_bytes())
            return cls(
                study=value["study"],
                n_left_out=value["n_left_out"],
                records=tuple(map(_from_json, value["trials"])),
            )


def learn_from(
    folder: StudyFolder, own: StudyFolder, config: StudyConfig, space: SearchSpace
) -> Learnt:
    """Copy the trials of another study from which this study's sampler can learn.

    Args:
        folder: Folder of the other study.
        own: Folder of this study.
        config: Configuration of this study.
        space: Search space of this study.

    Raises:
        ArtifactError: There is no such study, it has no trials yet, or its ledger is damaged.
        ConfigError: It is this study, or its scores or hyper-parameters mean something else.
        StoreError: Its store or server refuses, or does not answer.
    """
    if folder == own:
        raise ConfigError(
            f"search.learn_from names {folder.root}, the study itself. Name another one, or leave "
            "it out: a study always learns from its own trials."
        )
    folder.expect_study()
    other = folder.read_config()
    with reading(folder) as database:
        ledger = Ledger.open(database, other.name)
        ledger.close()
    if "leads" not in ledger.notes:
        raise ArtifactError(
            f"{folder.root} has not started its trials, so there is nothing to learn from. Name "
            "another study."
        )
    _expect_alike(folder, other, ledger.notes["leads"], config, space)
    ended = [record for record in ledger.records if _is_informative(record, other, config)]
    kept = [r for r in ended if r.trial.arm is not Arm.SEARCH or _fits(r.drawn, space)]
    learnt = Learnt(
        study=str(folder.root),
        records=tuple(_numbered(record, number) for number, record in enumerate(kept)),
        n_left_out=len(ended) - len(kept),
    )
    if not learnt.n_trials:
        raise ConfigError(
            f"search.learn_from: none of the {len(ledger.records)} trials of {folder.root} can be "
            "used: no trial of its search was completed or pruned, or all are outside the ranges "
            "of this space. Name another study, or leave learn_from out."
        )
    return learnt


def _expect_alike(
    folder: StudyFolder,
    other: StudyConfig,
    leads: Sequence[str],
    config: StudyConfig,
    space: SearchSpace,
) -> None:
    """Refuse a study with another task, other objectives or other students."""
    where = f"search.learn_from: the study in {folder.root}"
    advice = "Name a study with the same question, or leave learn_from out."
    if other.data.task != config.data.task:
        raise ConfigError(
            f"{where} is of the task {other.data.task!r}, this study of {config.data.task!r}: "
            f"their scores are not comparable. {advice}"
        )
    if other.search.objectives != config.search.objectives:
        raise ConfigError(
            f"{where} optimises {listing(other.search.objectives)}, this study "
            f"{listing(config.search.objectives)}. {advice}"
        )
    # Without limits and grid, which do not change the meaning of hyper-parameters.
    plain = replace(
        other.search, sampler="random", conditions="balanced", enqueue=(), learn_from=None
    )
    theirs = SearchSpace.from_config(replace(other, search=plain), leads)
    drawn, own = set(theirs.distributions), set(space.distributions)
    if drawn != own:
        what = [f"{name} only there" for name in sorted(drawn - own)]
        what += [f"{name} only here" for name in sorted(own - drawn)]
        raise ConfigError(f"{where} draws other parameters: {listing(what)}. {advice}")
    names = sorted(theirs.defaults.keys() - drawn)
    differing = [
        f"{name} ({theirs.defaults[name]!r} there, {space.defaults[name]!r} here)"
        for name in names
        if theirs.defaults[name] != space.defaults[name]
    ]
    differing += [f"when of {n}" for n in sorted(drawn) if theirs.when.get(n) != space.when.get(n)]
    if differing:
        raise ConfigError(f"{where} has another space: {listing(differing)} differ. {advice}")


def _is_informative(record: TrialRecord, other: StudyConfig, config: StudyConfig) -> bool:
    """Whether a sampler can learn from a trial.

    A pruned trial's score is comparable only between studies with equally many epochs.
    """
    if record.state is TrialState.COMPLETE:
        return True
    as_long = other.student.epochs == config.student.epochs
    stopped = record.state in (TrialState.PRUNED, TrialState.DIVERGED)
    return as_long and stopped and record.trial.arm is Arm.SEARCH


def _fits(drawn: Mapping[str, Scalar], space: SearchSpace) -> bool:
    return all(contains(space.distributions[name], value) for name, value in drawn.items())


def _numbered(record: TrialRecord, number: int) -> TrialRecord:
    """Return a trial with another number, without its usage and its times."""
    assert record.result is not None
    return TrialRecord(
        trial=replace(record.trial, number=number),
        drawn=record.drawn,
        state=record.state,
        values=record.values,
        result=replace(record.result, number=number),
    )


def _to_json(record: TrialRecord) -> dict[str, Any]:
    assert record.result is not None
    return {
        "trial": record.trial.to_json(),
        "drawn": dict(record.drawn),
        "values": without_nan({str(epoch): value for epoch, value in record.values.items()}),
        "result": record.result.to_json(),
    }


def _from_json(value: Mapping[str, Any]) -> TrialRecord:
    result = TrialResult.from_json(value["result"])
    return TrialRecord(
        trial=Trial.from_json(value["trial"]),
        drawn=value["drawn"],
        state=result.state,
        values={
            int(epoch): math.nan if score is None else score
            for epoch, score in value["values"].items()
        },
        result=result,
    )
