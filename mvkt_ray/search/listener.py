"""Listeners of a search, such as the live table: they are told how far it is."""

from typing import Protocol

from mvkt_ray.records import EpochMetrics
from mvkt_ray.search.study import Study


class StageListener(Protocol):
    """Is told how far the stages are."""

    def stage_started(self, stage: str, what: str) -> None:
        """Say that a stage begins: `shards`, `teacher`, `knowledge`, `assistants`, `trials`."""
        ...

    def stage_progress(self, done: int, total: int) -> None:
        """Say how much of the stage is done."""
        ...

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        """Say that a stage has ended, or that its result was there already."""
        ...


class Listener(StageListener, Protocol):
    """Is told how far a search is."""

    def stage_epoch(self, metrics: EpochMetrics) -> None:
        """Pass on what the teacher reported."""
        ...

    def study_opened(self, study: Study) -> None:
        """Hand over the study, once, before its first trial."""
        ...

    def study_changed(self) -> None:
        """Say that a trial reported or ended."""
        ...
