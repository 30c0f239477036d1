"""Stops a study after several consecutive failures, with the reason that they share.

The cause is often not in the trial: a package of another version, unusable data, a network that
does not fit the crop. The next trial would then fail, too, at the price of a trial. A successful
trial resets the count. A diverged trial is a finding about the space; it counts as a failure only
until one trial of the study has been successful.
"""

import re
from collections import Counter
from collections.abc import Iterable

from mvkt_ray.errors import AllFailedError
from mvkt_ray.phrasing import number_ranges
from mvkt_ray.records import TrialResult, TrialState, trial_folder_name

_MOST_REASONS = 3
"""Reasons shown of a streak that has several."""

_NUMBER = re.compile(r"\d+([.,]\d+)*")


class FailureStreak:
    """Counts the failures of one start of a study since its last successful trial."""

    def __init__(self, stop_after: int | None, before: Iterable[TrialState] = ()) -> None:
        """Begin a start of a study; failures of earlier starts are not counted.

        Args:
            stop_after: Consecutive failures that stop the study; None: never.
            before: States of the trials of earlier starts.
        """
        self._stop_after = stop_after
        self._any_well = any(_is_well(state) for state in before)
        self._failed: list[TrialResult] = []

    def note(self, result: TrialResult) -> None:
        """Note the end of a trial, which must be in the ledger already: raising loses nothing.

        Raises:
            AllFailedError: It is the last failure that the study allows.
        """
        if _is_well(result.state):
            self._any_well = True
            self._failed.clear()
        elif result.state is TrialState.FAILED or not self._any_well:
            self._failed.append(result)
        if self._stop_after is not None and len(self._failed) >= self._stop_after:
            raise self._stop()

    def _stop(self) -> AllFailedError:
        numbers = [result.number for result in self._failed]
        named = f"trials {number_ranges(numbers)} have" if len(numbers) > 1 else "one trial has"
        last = f"trials/{trial_folder_name(numbers[-1])}"
        return AllFailedError(
            f"The search stops: {named} failed and no other trial has succeeded meanwhile. "
            f"{self._reasons()} The output of a failed trial is in its error.txt, such as in "
            f"{last}. Remove the cause and continue by the same command with --resume, which "
            f"counts from 0 again; or raise search.stop_after_failures, which is "
            f"{self._stop_after}, or "
            "set it to null for no limit. All finished trials are kept."
        )

    def _reasons(self) -> str:
        """Return the distinct reasons in sentences; reasons may differ in numbers only."""
        reasons: dict[str, str] = {}
        counted: Counter[str] = Counter()
        for result in self._failed:
            # Epochs, sizes and addresses differ between trials with the same reason.
            kind = _NUMBER.sub("#", result.reason)
            reasons.setdefault(kind, result.reason)
            counted[kind] += 1
        if len(counted) == 1:
            [reason] = reasons.values()
            return f"The reason: {_sentence(reason)}" + (
                "" if len(self._failed) == 1 else " All of them have this reason."
            )
        listed = [f"{n} times: {_sentence(reasons[kind])}" for kind, n in counted.most_common()]
        rest = len(listed) - _MOST_REASONS
        others = [f"And {rest} more."] if rest > 0 else []
        return " ".join(["The reasons:", *listed[:_MOST_REASONS], *others])


def _is_well(state: TrialState) -> bool:
    return state in (TrialState.COMPLETE, TrialState.PRUNED)


def _sentence(reason: str) -> str:
    return reason if reason.endswith((".", "!", "?")) else f"{reason}."
