"""Who is to blame when a trial is lost again and again: the trial, or the machine.

A process that is killed, a node that goes, a store that does not answer and GPU memory that does
not suffice look alike for one trial. What becomes of the others tells. A trial that is lost more
often than `search.max_retries` allows is set aside. When another one ends, it is tried once more,
and has failed if it is lost then. When a third one has to be set aside and none has ended, the
machine is to blame: the study stops with all of them open. A study that is started again tries
other trials before those.
"""

from collections.abc import Iterable, Sequence

from mvkt_ray.errors import MachineError
from mvkt_ray.machine_faults import GOES_ON
from mvkt_ray.phrasing import listing
from mvkt_ray.records import TrialResult

MOST_ASIDE = 2
"""Trials that may be lost for good one after the other: batches that are too large for a GPU come
in twos more often than in threes."""


class LostTrials:
    """Remembers which trials were lost, and whether others have ended since."""

    def __init__(self, before: Iterable[int], *, any_ended: bool) -> None:
        """Begin a start of a study.

        Args:
            before: Numbers of trials that were set aside in an earlier start.
            any_ended: Whether any trial of the study ever ended.
        """
        self._later = list(before)
        self._aside: dict[int, TrialResult] = {}
        self._to_blame: dict[int, bool] = dict.fromkeys(self._later, any_ended)
        """By number of a trial that was lost: whether it fails when it is lost too often."""
        self._any_ended = False

    def __contains__(self, number: object) -> bool:
        return number in self._aside or number in self._later

    def note(self, number: int) -> None:
        """Note that a trial was lost."""
        self._to_blame.setdefault(number, False)

    def is_to_blame(self, number: int) -> bool:
        """Whether a trial that is lost too often does it itself."""
        return self._to_blame[number]

    def set_aside(self, result: TrialResult) -> None:
        """Keep a trial of which nobody knows yet whether it is to blame.

        Raises:
            MachineError: It is one too many. Names the trials, and what the last one was told.
        """
        self._aside[result.number] = result
        if len(self._aside) > MOST_ASIDE:
            raise self._fault()

    def note_end(self, number: int) -> Sequence[int]:
        """Note that a trial has ended, by its own doing; return those to try once more."""
        self._any_ended = True
        self._to_blame.pop(number, None)
        self._to_blame = dict.fromkeys(self._to_blame, True)
        again = (*self._aside, *self._later)
        self._aside.clear()
        self._later.clear()
        return again

    def take_later(self) -> Sequence[int]:
        """Return those of an earlier start, when there is no other trial to try before them."""
        later = tuple(self._later)
        self._later.clear()
        return later

    def settle(self) -> Sequence[TrialResult]:
        """Return how those end that were set aside, when there is no other trial to wait for.

        Raises:
            MachineError: None has ended in this start.
        """
        if self._aside and not self._any_ended:
            raise self._fault()
        ended = tuple(self._aside.values())
        self._aside.clear()
        return ended

    def _fault(self) -> MachineError:
        numbers = [str(number) for number in self._aside]
        last = list(self._aside.values())[-1]
        named = f"trials {listing(numbers)} were" if len(numbers) > 1 else f"trial {numbers[0]} was"
        return MachineError(
            f"The machine fails: {named} lost more often than search.max_retries allows, and no "
            f"other trial has ended meanwhile. The last time: {last.reason} {GOES_ON}"
        )
