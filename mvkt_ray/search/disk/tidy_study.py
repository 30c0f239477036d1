"""A study that lets go of a trial's checkpoint when the ledger has how the trial ended.

A trial that comes to its end does that itself. One that failed cannot: until its failure is in the
ledger it may have to go on from there.
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
    """Forwards to a study, or to those that follow it, and removes what nobody goes on from."""

    def __init__(self, followed: AskTell, study: Study, trials: Location) -> None:
        """Take what is run, the study behind it, and the folder of its trials."""
        self._followed, self._study, self._trials = followed, study, trials

    @property
    def config(self) -> StudyConfig:
        """The study that the trials belong to."""
        return self._followed.config

    def ask(self) -> Trial | None:
        """Return a trial to run; None when there is none now."""
        return self._followed.ask()

    def report(self, number: int, metrics: EpochMetrics, usage: Usage) -> Decision:
        """Return whether a trial goes on."""
        return self._followed.report(number, metrics, usage)

    def tell(self, result: TrialResult, usage: Usage) -> None:
        """Record how an attempt ended; what is left of a trial that failed for good is removed."""
        try:
            self._followed.tell(result, usage)
        finally:
            if self._study.has_failed(result.number):
                # A disk that does not obey is met by whoever has something to write on it.
                with contextlib.suppress(OSError, StoreError):
                    TrialFolder.of(self._trials, result.number).discard_checkpoint()
