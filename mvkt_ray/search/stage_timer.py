"""Times of a study's stages, summed over all its starts, including killed ones.

A driver that is killed notes nothing any more, so the time is noted while a stage runs.

Writes: `stages.json` in the study's folder.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Generator

from mvkt_ray.errors import MvktError
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.listener import StageListener

NOTE_EVERY_S = 30.0
"""A driver's death loses less than that."""


class StageTimer:
    """Adds the elapsed time of a stage to the recorded time of earlier starts."""

    def __init__(
        self, folder: StudyFolder, stage: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin to count.

        Args:
            folder: Of the study.
            stage: Its name.
            clock: In seconds.
        """
        self._folder, self._stage, self._clock = folder, stage, clock
        self._noted_at = clock()
        self._lock = threading.Lock()

    def note(self) -> None:
        """Record the time since the last call."""
        with self._lock:
            now = self._clock()
            if self._folder.root.exists():
                self._folder.add_stage_time(self._stage, now - self._noted_at)
                self._noted_at = now

    @contextlib.contextmanager
    def noting(self, every_s: float = NOTE_EVERY_S) -> Generator[None]:
        """Record the time at intervals, from a thread, until the block ends."""
        is_over = threading.Event()

        def work() -> None:
            while not is_over.wait(every_s):
                # A failed write does not stop the stage; a later one records the time.
                with contextlib.suppress(MvktError, OSError):
                    self.note()

        thread = threading.Thread(target=work, name="stage-timer", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()


@contextlib.contextmanager
def timed_stage(
    folder: StudyFolder, listener: StageListener, stage: str, what: str
) -> Generator[None]:
    """Notify a listener of a stage's begin and end, and record its time."""
    listener.stage_started(stage, what)
    timer = StageTimer(folder, stage)
    try:
        with timer.noting():
            yield
    except BaseException:
        # The stage's own error takes precedence over a failure to record its time.
        with contextlib.suppress(MvktError, OSError):
            timer.note()
        raise
    timer.note()
    listener.stage_finished(stage, what, False)
