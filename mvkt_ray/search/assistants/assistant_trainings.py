"""The trainings of assistants, offered to runners as a study offers trials, and never pruned.

They have no ledger. A killed driver leaves their checkpoints and results, as of any trial. The next
driver offers all that are not published; a training that had ended returns its result at once.
"""

from collections import deque
from collections.abc import Callable, Sequence

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import (
    NOTHING_USED,
    Decision,
    EpochMetrics,
    Trial,
    TrialResult,
    TrialState,
    Usage,
)


class AssistantTrainings:
    """Offers trainings in order (`AskTell`), and keeps their epochs and results."""

    def __init__(
        self,
        config: StudyConfig,
        trials: Sequence[Trial],
        *,
        on_epoch: Callable[[int], None],
        on_end: Callable[[Trial, TrialResult, Usage], None],
    ) -> None:
        """Begin with all trainings waiting.

        Args:
            config: The study.
            trials: The trainings, as trials.
            on_epoch: Called with the number of finished epochs of all trainings.
            on_end: Called with each complete training, its result and the usage of all attempts.
        """
        self.config = config
        self._trials = {trial.number: trial for trial in trials}
        self._waiting = deque(self._trials)
        self._on_epoch, self._on_end = on_epoch, on_end
        self._epochs: dict[int, dict[int, EpochMetrics]] = {number: {} for number in self._trials}
        self._lost: dict[int, Usage] = {}
        self._n_lost = dict.fromkeys(self._trials, 0)
        self._ended: dict[int, TrialResult] = {}

    @property
    def results(self) -> tuple[tuple[Trial, TrialResult], ...]:
        """Ended trainings with their results, in the order of their numbers."""
        return tuple((self._trials[number], self._ended[number]) for number in sorted(self._ended))

    def epochs(self, number: int) -> tuple[EpochMetrics, ...]:
        """Return the reported epochs of a training, in order."""
        reported = self._epochs[number]
        return tuple(reported[epoch] for epoch in sorted(reported))

    def ask(self) -> Trial | None:
        """Return a training that has not begun, or must be repeated; None: there is none."""
        return self._trials[self._waiting.popleft()] if self._waiting else None

    def report(self, number: int, metrics: EpochMetrics, usage: Usage = NOTHING_USED) -> Decision:
        """Record an epoch; the decision is always to continue."""
        self._epochs[number][metrics.epoch] = metrics
        self._on_epoch(sum(len(reported) for reported in self._epochs.values()))
        return Decision.CONTINUE

    def tell(self, result: TrialResult, usage: Usage = NOTHING_USED) -> None:
        """Record the end of a training; a repeated call has no effect.

        A training that lost its worker is repeated up to `search.max_retries` times; a preemption
        of its node is not counted.
        """
        number = result.number
        if number in self._ended or number in self._waiting:
            return
        used = self._lost.get(number, NOTHING_USED).plus(usage)
        if result.state is TrialState.FAILED and result.retriable:
            self._n_lost[number] += not result.preempted
            if self._n_lost[number] <= self.config.search.max_retries:
                self._lost[number] = used
                self._waiting.append(number)
                return
        self._ended[number] = result
        if result.state is TrialState.COMPLETE:
            self._on_end(self._trials[number], result, used)
