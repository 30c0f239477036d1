"""Notifies trackers of a study's trials and epochs, in a thread of their own.

A tracker may be slow or unreachable: the search neither waits for it nor fails with it. A tracker
that raises is switched off, with a line in the log and a note at the end of the search.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.phrasing import hide_passwords, one_line
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, Usage
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import PriceList, Spent
from mvkt_ray.search.study import Study
from mvkt_ray.tracking.tracker import TrackedStudy, Tracker

CLOSE_TIMEOUT_S = 60.0
"""Longest time that the end of a search waits for pending events."""

_log = logging.getLogger(__name__)

Event = Callable[[Tracker], None]


class Trackers:
    """Passes events to trackers, in order, from one thread."""

    def __init__(self, trackers: Mapping[str, Tracker], study: TrackedStudy) -> None:
        """Set the trackers; they receive no event before `follow`.

        The search opens its log in between, so that the log contains their messages.
        """
        self._on, self._about = dict(trackers), study
        self.notes: list[str] = []
        """Trackers that were switched off, with the reason."""
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def follow(self, study: Study) -> "StudyWithTrackers":
        """Start the thread, and return the study wrapped to notify the trackers."""
        self._thread = threading.Thread(target=self._work, name="trackers", daemon=True)
        self._thread.start()
        self._notify(lambda tracker: tracker.start_study(self._about))
        return StudyWithTrackers(study, self._notify)

    def close(self, files: Mapping[str, bytes]) -> list[str]:
        """Send the study's files, wait for pending events, and return the notes.

        Without an earlier call of `follow` nothing is sent.
        """
        if self._thread is None:
            return self.notes
        self._notify(lambda tracker: tracker.end_study(files))
        self._events.put(None)
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._thread.is_alive():
            late = ", ".join(self._on)
            self.notes.append(f"{late}: still behind after {CLOSE_TIMEOUT_S:.0f} s, and left so")
        return self.notes

    def _notify(self, event: Event) -> None:
        if self._on:
            self._events.put(event)

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            for name, tracker in list(self._on.items()):
                try:
                    event(tracker)
                except Exception as error:
                    del self._on[name]
                    why = f"{type(error).__name__}: {hide_passwords(one_line(error))}"
                    self.notes.append(f"{name} was switched off: {why}")
                    _log.warning("tracker %s is switched off: %s", name, why)


class StudyWithTrackers:
    """Forwards ask, report and tell to a study, and notifies the trackers."""

    def __init__(self, study: Study, notify: Callable[[Event], None]) -> None:
        """Follow a study."""
        self._study, self._notify = study, notify

    @property
    def config(self) -> StudyConfig:
        """Configuration of the study."""
        return self._study.config

    @property
    def prices(self) -> PriceList:
        """Prices of the study."""
        return self._study.prices

    @property
    def spent(self) -> Spent:
        """Spending of the study so far."""
        return self._study.spent

    def trials(self) -> Sequence[TrialRecord]:
        """Return the records of the study's trials."""
        return self._study.trials()

    def ask(self) -> Trial | None:
        """Ask the study, and notify the trackers of a trial that begins or continues."""
        trial = self._study.ask()
        if trial is not None:
            self._notify(lambda tracker: tracker.start_trial(trial))
        return trial

    def report(self, number: int, metrics: EpochMetrics, usage: Usage) -> Decision:
        """Report to the study, and notify the trackers of an epoch that is new to it.

        Epochs in the ledger were sent before: a resumed trial replays them.
        """
        record = self._study.trials()[number]
        decision = self._study.report(number, metrics, usage)
        if metrics.epoch > record.last_epoch and not record.state.is_finished:
            self._notify(lambda tracker: tracker.log_epoch(record.trial, metrics))
        return decision

    def tell(self, result: TrialResult, usage: Usage) -> None:
        """Record the end of an attempt, and notify the trackers if the trial has ended for good."""
        before = self._study.trials()[result.number]
        self._study.tell(result, usage)
        after = self._study.trials()[result.number]
        if after.state.is_finished and not before.state.is_finished:
            self._notify(lambda tracker: tracker.end_trial(after.trial, result))
