"""What the ledger knows of one trial, frozen; every change makes a new record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.records import NOTHING_USED, Decision, Trial, TrialResult, TrialState, Usage


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialRecord:
    """A trial with everything that was written down about it."""

    trial: Trial
    drawn: Mapping[str, Scalar]
    """The hyper-parameters that a sampler drew; those of a baseline that it could have drawn."""
    state: TrialState
    values: Mapping[int, float] = field(default_factory=dict[int, float])
    """Validation macro AUROC by epoch, from 1; of the epochs that were validated."""
    unscored_epoch: int = 0
    """The last epoch that was reported without a value; 0 where each had one."""
    result: TrialResult | None = None
    """How it ended; None while it has not."""
    failures: tuple[str, ...] = ()
    """Reasons of the attempts that were lost and started again."""
    usage: Usage = NOTHING_USED
    """What it has used over all attempts, as far as it is written down."""
    decided_epoch: int = 0
    """The last epoch at which the pruner looked at the trial and wrote down what it decided."""
    pruned_at: int | None = None
    """Epoch after which the trial was told to stop."""
    pruner_memory: Mapping[str, float] = field(default_factory=dict[str, float])
    """What the pruner noted of the trial: its value at each rung it has come to."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def number(self) -> int:
        """The trial's number in the study, from 0."""
        return self.trial.number

    @property
    def condition(self) -> str:
        """Name of what the student observes."""
        return self.trial.condition.name

    @property
    def last_epoch(self) -> int:
        """The last epoch reported, validated or not; 0 before the first."""
        return max(self.unscored_epoch, self.last_scored_epoch)

    @property
    def last_scored_epoch(self) -> int:
        """The last epoch that has a value; 0 before the first. A pruned trial's is its end."""
        return max(self.values, default=0)

    @property
    def macro_auroc(self) -> float | None:
        """The value that the study optimises; None unless the trial is complete."""
        if self.result is None or self.state is not TrialState.COMPLETE:
            return None
        return self.result.macro_auroc

    def decision_at(self, epoch: int) -> Decision:
        """What the trial was told, or is to be told again, after an epoch already decided."""
        if self.pruned_at is not None and epoch >= self.pruned_at:
            return Decision.PRUNE
        return Decision.CONTINUE
