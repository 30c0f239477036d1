"""Lines on finals and openings of the test split, for `mvkt status` and `mvkt inspect`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mvkt_ray.search.finals.finals_progress import FinalsProgress
    from mvkt_ray.search.finals.openings import Opening
    from mvkt_ray.search.ledger.trial_record import TrialRecord


def driven_stages(
    trials: "Sequence[TrialRecord]", finals: "Sequence[FinalsProgress]", is_driven: bool
) -> tuple[bool, bool]:
    """Return whether a study's driver runs its search, and whether it runs its newest finals.

    A study has at most one driver. The most recent open trial, of the search or of unexamined
    finals, belongs to the stage that the driver runs.
    """
    from mvkt_ray.search.finals.finals_progress import newest_start

    newest = finals[-1] if finals else None
    if not is_driven or newest is None or newest.is_examined or newest.left_behind:
        return is_driven, False
    of_search = newest_start(tuple(each for each in trials if not each.state.is_finished))
    of_finals = newest.begun_at
    in_finals = of_search is None or (of_finals is not None and of_finals > of_search)
    return not in_finals, in_finals


def finals_text(finals: "FinalsProgress", *, is_driven: bool) -> str:
    """Return the progress of finals in words."""
    parts = [f"{finals.n_ended} of {finals.n_trainings} trainings have ended"]
    if finals.n_problems:
        parts.append(f"{finals.n_problems} of them failed or diverged")
    if finals.left_behind:
        return f"{parts[0]}; left behind, unopened, at {finals.left_behind}"
    if finals.n_open:
        be = "is" if finals.n_open == 1 else "are"
        parts.append(f"{finals.n_open} {be} {'running' if is_driven else 'interrupted'}")
    text = ", ".join(parts)
    if finals.is_examined:
        return f"{text}; examined"
    if finals.opening is not None:
        return f"{text}; the examination {'is running' if is_driven else 'was interrupted'}"
    return text if is_driven or finals.n_open else f"{text}; interrupted: finalize again to go on"


def openings_text(openings: "Sequence[Opening]") -> str:
    """Return the number of openings of the test split, with time and origin of the last one."""
    if not openings:
        return "never opened"
    last = openings[-1]
    times = "once" if len(openings) == 1 else f"{len(openings)} times, the last time"
    why = f', because "{last.reason}"' if last.reason else ""
    return f"opened {times} at {last.describe()} for {last.n_recordings:,} recordings{why}"
