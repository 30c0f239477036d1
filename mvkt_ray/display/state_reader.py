"""Reads the state of a study from its trial records in memory."""

import bisect
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mvkt_ray.display.money import spent_text
from mvkt_ray.display.study_state import (
    PROBLEMS,
    ConditionRow,
    StudyState,
    TrialLine,
    WatchedFinals,
    WatchedStudy,
)
from mvkt_ray.records import Arm, TrialState

if TYPE_CHECKING:
    from mvkt_ray.search.ledger.trial_record import TrialRecord
    from mvkt_ray.search.spending.prices import PriceList


def state_of(study: WatchedStudy, n_epochs: int) -> StudyState:
    """Return the current state of a study, or of its finals."""
    return StateReader(study, n_epochs).read()


class StateReader:
    """Reads the state of a study repeatedly, at a cost proportional to the changes.

    Finals, which have few trainings, are read completely each time.
    """

    def __init__(self, study: WatchedStudy, n_epochs: int) -> None:
        """Prepare for reading.

        Args:
            study: Study whose trials are only added and ended, never removed.
            n_epochs: Epochs of an unpruned trial.
        """
        self._study, self._n_epochs = study, n_epochs
        self._tallies = {each.name: _Tally(each.name) for each in study.conditions}
        self._n_begun = 0
        self._open: set[int] = set()
        self._finished: list[TrialLine] = []

    def read(self) -> StudyState:
        """Return the current state of the study."""
        study = self._study
        if isinstance(study, WatchedFinals):
            return _state_of_finals(study, self._n_epochs)
        records = study.trials()
        self._open.update(range(self._n_begun, len(records)))
        self._n_begun = len(records)
        for number in sorted(self._open):
            record = records[number]
            tally = self._tallies[record.condition]
            tally.note(record)
            if record.result is not None:
                self._open.remove(number)
                line = _line(record, study.prices)
                bisect.insort(self._finished, line, key=lambda each: each.number)
        share, rest = divmod(study.n_trials, len(self._tallies))
        return StudyState(
            rows=tuple(
                tally.row(n_planned=share + (index < rest))
                for index, tally in enumerate(self._tallies.values())
            ),
            n_trials=study.n_trials,
            n_epochs=self._n_epochs,
            finished=tuple(self._finished),
            spent=spent_text(study.spent, study.prices),
        )


def _state_of_finals(finals: WatchedFinals, n_epochs: int) -> StudyState:
    records = finals.trials()
    rows: list[ConditionRow] = []
    for condition in finals.conditions:
        own = [record for record in records if record.condition == condition.name]
        tally = _Tally(condition.name)
        for record in own:
            tally.note(record)
        rows.append(
            replace(
                tally.row(n_planned=sum(t.condition == condition for t in finals.planned)),
                best=_mean(own, finals.answer),
                student_alone=_mean(own, Arm.STUDENT_ALONE.value, "alone"),
            )
        )
    return StudyState(
        rows=tuple(rows),
        n_trials=finals.n_trials,
        n_epochs=n_epochs,
        finished=tuple(
            _final_line(record, finals.prices) for record in records if record.result is not None
        ),
        spent=spent_text(finals.spent, finals.prices),
        best_name=finals.answer,
    )


def _mean(records: "Iterable[TrialRecord]", *contenders: str) -> float | None:
    scores = [r.macro_auroc for r in records if r.trial.contender in contenders]
    done = [score for score in scores if score is not None]
    return statistics.mean(done) if done else None


def _final_line(record: "TrialRecord", prices: "PriceList") -> TrialLine:
    trial = record.trial
    what = f"{record.condition}  {trial.contender}  seed {trial.repetition}"
    return replace(_line(record, prices), condition=what)


class _Tally:
    """Counts of one condition's trials."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._states: Counter[TrialState] = Counter()
        self._best: dict[Arm, float] = {}
        self._running: dict[int, int] = {}

    def note(self, record: "TrialRecord") -> None:
        """Count a trial in its current state; at most once after its end."""
        if record.result is None:
            self._running[record.number] = record.last_epoch
            return
        self._running.pop(record.number, None)
        self._states[record.state] += 1
        value, arm = record.macro_auroc, record.trial.arm
        if value is not None:
            self._best[arm] = max(value, self._best.get(arm, value))

    def row(self, *, n_planned: int) -> ConditionRow:
        """Return the counts as a row."""
        n_dealt = self._states.total() + len(self._running)
        return ConditionRow(
            name=self._name,
            n_planned=max(n_planned, n_dealt),
            n_dealt=n_dealt,
            n_complete=self._states[TrialState.COMPLETE],
            n_pruned=self._states[TrialState.PRUNED],
            n_failed=sum(self._states[state] for state in PROBLEMS),
            best=self._best.get(Arm.SEARCH),
            student_alone=self._best.get(Arm.STUDENT_ALONE),
            running=tuple(sorted(self._running.items())),
        )


def _line(record: "TrialRecord", prices: "PriceList") -> TrialLine:
    result, spent = record.result, prices.spent(record.usage.reservations)
    assert result is not None
    return TrialLine(
        number=record.number,
        condition=record.condition,
        arm=record.trial.arm.value,
        state=result.state.value,
        macro_auroc=result.macro_auroc,
        epochs=result.epochs,
        wall_s=result.wall_s,
        reason=result.reason,
        money=None if spent.unpriced_s or prices.is_empty else spent.money,
    )
