"""Which of several groups of leads in one file is the recording.

Files hold the same leads at several times, as ten seconds of rhythm and the median of the beats, or
three leads at a time. Leads of different times are not put together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mvkt_ray.data.sources.hospital.file_signal import Leads
from mvkt_ray.errors import RecordingError
from mvkt_ray.phrasing import listing


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadGroup:
    """Leads that were recorded together; none of them is decoded yet."""

    leads: tuple[str, ...]
    """Those of the twelve that it has, by canonical name."""
    seconds: float
    """How long they are, as far as the file says before it is decoded."""
    decode: Callable[[], Leads]


def choose_group(file: str, groups: Sequence[LeadGroup], n_derived: int) -> LeadGroup:
    """Return the group that has the most leads, of those the longest, of those the first.

    Args:
        file: Its path, for messages.
        groups: Of samples as they were recorded.
        n_derived: How many groups were left out because they were computed, as median beats are.

    Raises:
        RecordingError: `derived` where there is no other, `missing_lead` where none has a lead, and
            `leads_apart` where another group has leads that the largest has not.
    """
    with_leads = [group for group in groups if group.leads]
    if not with_leads and n_derived:
        raise RecordingError(
            f"{file} holds computed samples alone, as median beats are, and no rhythm; export the "
            "recording itself",
            "derived",
        )
    if not with_leads:
        raise RecordingError(
            f"{file} has none of the twelve leads by a name that is known", "missing_lead"
        )
    best = max(with_leads, key=lambda group: (len(set(group.leads)), group.seconds))
    apart = [lead for group in with_leads for lead in group.leads if lead not in best.leads]
    if apart:
        raise RecordingError(
            f"{file} has {listing(list(dict.fromkeys(apart)))} in another group than "
            f"{listing(best.leads)}: leads of different times are not put together; export twelve "
            "leads of one time",
            "leads_apart",
        )
    return best
