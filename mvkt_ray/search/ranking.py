"""Conditions in the order of what their best student reached on the validation split."""

from collections.abc import Iterable
from dataclasses import dataclass

from mvkt_ray.records import Arm, Condition, TrialState
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.study import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadRank:
    """One condition: its best student, what that is compared with, and how many were tried."""

    condition: Condition
    best: TrialRecord | None
    """The complete search trial with the highest macro AUROC; None before there is one."""
    student_alone: TrialRecord | None
    """The baseline that saw no teacher; None until it is complete."""
    plain_kd: TrialRecord | None
    """The baseline of plain distillation; None until it is complete."""
    n_trials: int
    """Baselines included."""
    n_complete: int
    n_pruned: int
    n_failed: int
    """Diverged ones too."""

    @property
    def macro_auroc(self) -> float | None:
        """Score of the best student."""
        return None if self.best is None else self.best.macro_auroc


def rank_leads(study: Study) -> tuple[LeadRank, ...]:
    """Rank the conditions of a study, the best first, those without a result last.

    Trials were chosen on the same validation split, so the values are optimistic.
    """
    records = study.trials()
    ranks = [
        _rank(condition, [r for r in records if r.condition == condition.name])
        for condition in study.conditions
    ]
    return tuple(
        sorted(ranks, key=lambda rank: (rank.macro_auroc is None, -(rank.macro_auroc or 0.0)))
    )


def _rank(condition: Condition, records: list[TrialRecord]) -> LeadRank:
    states = [record.state for record in records]
    return LeadRank(
        condition=condition,
        best=_best(records, Arm.SEARCH),
        student_alone=_best(records, Arm.STUDENT_ALONE),
        plain_kd=_best(records, Arm.PLAIN_KD),
        n_trials=len(records),
        n_complete=states.count(TrialState.COMPLETE),
        n_pruned=states.count(TrialState.PRUNED),
        n_failed=states.count(TrialState.FAILED) + states.count(TrialState.DIVERGED),
    )


def _best(records: Iterable[TrialRecord], arm: Arm) -> TrialRecord | None:
    """Of equal trials the first: a later one must be better to be chosen."""
    complete = [r for r in records if r.trial.arm is arm and r.macro_auroc is not None]
    return max(
        complete, key=lambda record: (record.macro_auroc or 0.0, -record.number), default=None
    )
