"""Removes the checkpoint of a failed trial once the failure is in the ledger.

A trial that runs to its end removes it itself. A failed one cannot: until its failure is in the
ledger, a retry may resume from the checkpoint.
"""

import contextlib

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import StoreError
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, Usage
from mvkt_ray.search.runner import AskTell
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from mvkt_ray.training.trial_files import TrialFolder


class TidyStudy:
    """Forwards calls to a study, or to its followers, and removes unneeded checkpoints."""

    def __init__(self, followed: AskTell, study: Study, trials: Location) -> None:
        """Wrap a study.

        Args:
            followed: Receives the calls: the study, or the trackers in front of it.
            study: The study itself.
            trials: Folder of its trials.
        """
        self._followed, self._study, self._trials = followed, study, trials

    @property
    def config(self) -> StudyConfig:
        """The study that the trials belong to."""
        return self._followed.config

    def ask(self) -> Trial | None:
        """Return a trial to run; None: there is none now."""
        return self._followed.ask()

    def report(self, number: int, metrics: EpochMetrics, usage: Usage) -> Decision:
        """Record an epoch; return the decision to continue, prune or stop the trial."""
        return self._followed.report(number, metrics, usage)

    def tell(self, result: TrialResult, usage: Usage) -> None:
        """Record the end of an attempt; remove the checkpoint of a trial that failed for good."""
        try:
            self._followed.tell(result, usage)
        finally:
            if self._study.has_failed(result.number):
                # Best effort: a broken disk is reported by the next necessary write.
                with contextlib.suppress(OSError, StoreError):
                    TrialFolder.of(self._trials, result.number).discard_checkpoint()
