"""The ledger's record of one trial: frozen, so that every change makes a new record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import NOTHING_USED, Decision, Trial, TrialResult, TrialState, Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """A trial with its progress, decisions, usage and result."""

    trial: Trial
    drawn: Mapping[str, Scalar]
    """Hyper-parameters that a sampler drew; of a baseline, those that it could have drawn."""
    state: TrialState
    values: Mapping[int, float] = field(default_factory=dict[int, float])
    """Validation macro AUROC by epoch, from 1; of the validated epochs."""
    unscored_epoch: int = 0
    """Last epoch reported without a value; 0: all had one."""
    result: TrialResult | None = None
    """None while the trial runs."""
    failures: tuple[str, ...] = ()
    """Reasons of the lost attempts, after each of which the trial was started again."""
    usage: Usage = NOTHING_USED
    """Recorded usage over all attempts."""
    decided_epoch: int = 0
    """Last epoch with a decision of the pruner."""
    pruned_at: int | None = None
    """Epoch after which the trial was pruned."""
    pruner_memory: Mapping[str, float] = field(default_factory=dict[str, float])
    """The pruner's memory of the trial: its value at each rung that it has reached."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def number(self) -> int:
        """The trial's number in the study, from 0."""
        return self.trial.number

    @property
    def condition(self) -> str:
        """Name of the trial's condition: the lead or lead set of its student."""
        return self.trial.condition.name

    @property
    def last_epoch(self) -> int:
        """The last epoch reported, validated or not; 0 before the first."""
        return max(self.unscored_epoch, self.last_scored_epoch)

    @property
    def last_scored_epoch(self) -> int:
        """The last epoch with a value; 0 before the first. A pruned trial ends at it."""
        return max(self.values, default=0)

    @property
    def macro_auroc(self) -> float | None:
        """Macro AUROC of the result, the study's score; None unless the trial is complete."""
        if self.result is None or self.state is not TrialState.COMPLETE:
            return None
        return self.result.macro_auroc

    def decision_at(self, epoch: int) -> Decision:
        """Return the recorded decision after an epoch; a resumed trial gets it again."""
        if self.pruned_at is not None and epoch >= self.pruned_at:
            return Decision.PRUNE
        return Decision.CONTINUE
