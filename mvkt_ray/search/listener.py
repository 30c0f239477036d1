"""Listeners, which receive the progress of a search: the live table, for example."""

from typing import Protocol

from mvkt_ray.records import EpochMetrics
from mvkt_ray.search.study import Study


class StageListener(Protocol):
    """Receives the progress of stages."""

    def stage_started(self, stage: str, what: str) -> None:
        """Be notified that a stage begins.

        Args:
            stage: `shards`, `teacher`, `knowledge`, `assistants` or `trials`.
            what: Description of the work.
        """
        ...

    def stage_progress(self, done: int, total: int) -> None:
        """Receive the number of finished units of the stage's work, and their total."""
        ...

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        """Be notified that a stage has ended, or (`reused`) that its result existed already."""
        ...


class Listener(StageListener, Protocol):
    """Receives the progress of a search."""

    def stage_epoch(self, metrics: EpochMetrics) -> None:
        """Receive the metrics of an epoch of the teacher."""
        ...

    def study_opened(self, study: Study) -> None:
        """Receive the study, once, before its first trial."""
        ...

    def study_changed(self) -> None:
        """Be notified that a trial reported or ended."""
        ...
