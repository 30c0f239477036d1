"""Assistants in training, dealt to runners as a study deals trials, and never pruned.

They have no ledger. What a killed driver leaves are their checkpoints and results, as of any trial:
the next one deals all that are not published, and those that had ended say so at once.
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
    """Deals trainings in their order, and remembers what they came to."""

    def __init__(
        self,
        config: StudyConfig,
        trials: Sequence[Trial],
        *,
        on_epoch: Callable[[int], None],
        on_end: Callable[[Trial, TrialResult, Usage], None],
    ) -> None:
        """Begin with no training dealt.

        Args:
            config: The study.
            trials: To be trained.
            on_epoch: Called with how many epochs of all of them are done.
            on_end: Called when one is complete, with what its attempts have used.
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
        """Trainings that have ended, well or not, by number."""
        return tuple((self._trials[number], self._ended[number]) for number in sorted(self._ended))

    def epochs(self, number: int) -> tuple[EpochMetrics, ...]:
        """Return what a training has reported, in order."""
        reported = self._epochs[number]
        return tuple(reported[epoch] for epoch in sorted(reported))

    def ask(self) -> Trial | None:
        """Return a training that has not begun, or has to begin again; None when there is none."""
        return self._trials[self._waiting.popleft()] if self._waiting else None

    def report(self, number: int, metrics: EpochMetrics, usage: Usage = NOTHING_USED) -> Decision:
        """Note what a training reached; it always goes on."""
        self._epochs[number][metrics.epoch] = metrics
        self._on_epoch(sum(len(reported) for reported in self._epochs.values()))
        return Decision.CONTINUE

    def tell(self, result: TrialResult, usage: Usage = NOTHING_USED) -> None:
        """Note how a training ended; the same may be told again.

        One that lost its worker is dealt again, as often as the study allows, and one whose node
        was taken back however often.
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
