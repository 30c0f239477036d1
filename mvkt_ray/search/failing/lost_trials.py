"""Decides whether the trial or the machine is the cause when a trial is lost repeatedly.

A killed process, a lost node, an unresponsive store and insufficient GPU memory look alike for one
trial; the other trials make the difference. A trial that is lost more often than
`search.max_retries` allows is set aside. After another trial has ended, it is tried once more, and
fails if it is lost again. If a third trial has to be set aside before any has ended, the machine is
the cause: the study stops with all of them open. A restarted study tries other trials first.
"""

from collections.abc import Iterable, Sequence

from mvkt_ray.errors import MachineError
from mvkt_ray.machine_faults import GOES_ON
from mvkt_ray.phrasing import listing
from mvkt_ray.records import TrialResult

MOST_ASIDE = 2
"""Consecutive trials that may be set aside: two trials in a row with batches too large for a GPU
are not rare, three are."""


class LostTrials:
    """Tracks lost trials, and whether others have ended since."""

    def __init__(self, before: Iterable[int], *, any_ended: bool) -> None:
        """Begin a start of a study.

        Args:
            before: Numbers of trials that were set aside in an earlier start.
            any_ended: Whether any trial of the study ever ended.
        """
        self._later = list(before)
        self._aside: dict[int, TrialResult] = {}
        self._to_blame: dict[int, bool] = dict.fromkeys(self._later, any_ended)
        """By number of a lost trial: whether another loss beyond the retries is its failure."""
        self._any_ended = False

    def __contains__(self, number: object) -> bool:
        return number in self._aside or number in self._later

    def note(self, number: int) -> None:
        """Note that a trial was lost."""
        self._to_blame.setdefault(number, False)

    def is_to_blame(self, number: int) -> bool:
        """Whether the trial itself is the cause of its losses."""
        return self._to_blame[number]

    def set_aside(self, result: TrialResult) -> None:
        """Keep a trial until its cause of loss is decided.

        Raises:
            MachineError: It is one too many. Names the trials, and the last one's reason.
        """
        self._aside[result.number] = result
        if len(self._aside) > MOST_ASIDE:
            raise self._fault()

    def note_end(self, number: int) -> Sequence[int]:
        """Note a regular end of a trial; return the trials to try once more."""
        self._any_ended = True
        self._to_blame.pop(number, None)
        self._to_blame = dict.fromkeys(self._to_blame, True)
        again = (*self._aside, *self._later)
        self._aside.clear()
        self._later.clear()
        return again

    def take_later(self) -> Sequence[int]:
        """Return the trials set aside in an earlier start, once no other trial is left to try."""
        later = tuple(self._later)
        self._later.clear()
        return later

    def settle(self) -> Sequence[TrialResult]:
        """Return the failures of the trials set aside, once no other trial is left to wait for.

        Raises:
            MachineError: No trial has ended in this start.
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
