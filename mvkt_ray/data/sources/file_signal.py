"""Content of a file of any format: leads in millivolts at one rate, and facts of the patient.

Decoders collect leads in `Leads`, which asks the same questions of each, and answers none of them
by guessing. Of several groups of leads in one file, as ten seconds of rhythm and the median of the
beats, `choose_group` says which is the recording.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mvkt_ray.data.recording import LEADS, Recording, RecordingRef, mv_per_unit
from mvkt_ray.data.sampling_rate import resample
from mvkt_ray.data.sources.source import CERTAIN
from mvkt_ray.errors import RecordingError
from mvkt_ray.phrasing import listing

HIGHEST_HZ = 1e6
"""No recorder samples faster; a file that says so is damaged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PatientFacts:
    """Facts of the patient in a header; none identifies the patient."""

    patient: str | None = None
    """Patient id as hashed by `header_patient`."""
    age: float | None = None
    sex: Literal["female", "male"] | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FileSignal:
    """The twelve leads, or those of them that a file has."""

    leads: tuple[str, ...]
    """Canonical names, in the order of `LEADS`; one at least."""
    signal_mv: np.ndarray
    """float32 `[n_leads, n_samples]`, finite."""
    sampling_rate_hz: float
    """Of all leads: the highest that one of them has."""
    patient: PatientFacts = field(default_factory=PatientFacts)
    uncalibrated_leads: tuple[str, ...] = ()
    """Leads whose calibration is assumed, or marked as doubtful by the file."""
    rate_is_assumed: bool = False
    """The file states no sampling rate, so that it is the format's default."""
    comments: tuple[str, ...] = ()
    """Of a WFDB header, without the leading `#`."""

    def as_recording(
        self,
        ref: RecordingRef,
        patient_id: str,
        *,
        age: float | None = None,
        sex: Literal["female", "male"] | None = None,
        fold: int | None = None,
        codes: Sequence[str] = (),
        likelihoods: Sequence[float] | None = None,
    ) -> Recording:
        """Return it as the recording of a reference, with what is known of that besides.

        Args:
            ref: Names the recording.
            patient_id: Whose it is.
            age: In years.
            sex: Of the patient.
            fold: That the source puts it in.
            codes: Its labels.
            likelihoods: Of each code, 0 to 100; None: all are certain.
        """
        return Recording(
            source=ref.source,
            record_id=ref.record_id,
            patient_id=patient_id,
            signal_mv=self.signal_mv,
            sampling_rate_hz=self.sampling_rate_hz,
            leads=self.leads,
            uncalibrated_leads=self.uncalibrated_leads,
            rate_is_assumed=self.rate_is_assumed,
            age=age,
            sex=sex,
            fold=fold,
            codes=tuple(codes),
            likelihoods=(CERTAIN,) * len(codes) if likelihoods is None else tuple(likelihoods),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lead:
    signal_mv: np.ndarray
    rate_hz: float
    is_calibrated: bool


class Leads:
    """Collects the leads of one file."""

    def __init__(self, file: str) -> None:
        """Begin with none.

        Args:
            file: Its path, for messages.
        """
        self._file = file
        self._leads: dict[str, _Lead] = {}

    def scale(self, lead: str, unit: str | None) -> float:
        """Return how many mV the unit of a lead is.

        Raises:
            RecordingError: It is none of voltage, or none is stated.
        """
        mv = mv_per_unit(unit or "")
        if mv is None:
            stated = f"is in {_short(unit)}, which is not" if unit else "states no unit, such as"
            raise RecordingError(
                f"{self._file}: lead {lead} {stated} nV, uV, mV or V; correct the unit",
                "wrong_units",
            )
        return mv

    def add(
        self, lead: str, signal_mv: np.ndarray, rate_hz: float, *, is_calibrated: bool = True
    ) -> None:
        """Add a lead.

        Args:
            lead: Canonical name.
            signal_mv: Real `[n_samples]`; NaN where the file marks a sample as missing.
            rate_hz: Its sampling rate.
            is_calibrated: The file does not say that its size is doubtful.

        Raises:
            RecordingError: The lead is there already, or the rate is none.
        """
        if lead in self._leads:
            raise RecordingError(
                f"{self._file} names lead {lead} twice; correct the names", "header_mismatch"
            )
        if not 0 < rate_hz <= HIGHEST_HZ:
            raise RecordingError(
                f"{self._file} states {rate_hz:g} Hz as sampling rate of lead {lead}; correct it",
                "rate",
            )
        self._leads[lead] = _Lead(signal_mv=signal_mv, rate_hz=rate_hz, is_calibrated=is_calibrated)

    def __contains__(self, lead: str) -> bool:
        return lead in self._leads

    def signal_mv(self, lead: str) -> np.ndarray:
        """Return a lead that is there, as it was added."""
        return self._leads[lead].signal_mv

    def rate_hz(self, lead: str) -> float:
        """Return the sampling rate of a lead that is there."""
        return self._leads[lead].rate_hz

    def together(self, patient: PatientFacts | None = None) -> FileSignal:
        """Return all leads at one rate, in their order.

        Raises:
            RecordingError: There is none, they are not of one length, or samples are not finite.
        """
        leads = {lead: self._leads[lead] for lead in LEADS if lead in self._leads}
        if not leads:
            raise RecordingError(
                f"{self._file} has none of the twelve leads under a known name",
                "missing_lead",
            )
        _check_finite(self._file, leads)
        rate_hz = max(lead.rate_hz for lead in leads.values())
        return FileSignal(
            leads=tuple(leads),
            signal_mv=np.stack(_at_rate(self._file, leads, rate_hz)),
            sampling_rate_hz=rate_hz,
            patient=patient or PatientFacts(),
            uncalibrated_leads=tuple(n for n, lead in leads.items() if not lead.is_calibrated),
        )


def _at_rate(file: str, leads: Mapping[str, _Lead], rate_hz: float) -> list[np.ndarray]:
    """Return float32 leads of one length; they may differ by less than a sample of the slowest."""
    if any(len(lead.signal_mv) == 0 for lead in leads.values()):
        raise RecordingError(f"{file} has no samples", "empty")
    seconds = {name: len(lead.signal_mv) / lead.rate_hz for name, lead in leads.items()}
    slowest_hz = min(lead.rate_hz for lead in leads.values())
    apart_s = max(seconds.values()) - min(seconds.values())
    if apart_s >= 1 / slowest_hz or (slowest_hz == rate_hz and apart_s > 0):
        short, long = min(seconds, key=seconds.__getitem__), max(seconds, key=seconds.__getitem__)
        raise RecordingError(
            f"{file}: lead {short} has {seconds[short]:g} s of samples, and lead {long} "
            f"{seconds[long]:g} s; restore the file",
            "header_mismatch",
        )
    same = [
        lead.signal_mv.astype(np.float32)
        if lead.rate_hz == rate_hz
        else resample(lead.signal_mv[None], lead.rate_hz, rate_hz)[0]
        for lead in leads.values()
    ]
    n_samples = min(len(signal) for signal in same)
    return [signal[:n_samples] for signal in same]


def _check_finite(file: str, leads: Mapping[str, _Lead]) -> None:
    largest = np.finfo(np.float32).max
    n_bad = {
        name: int((~(np.abs(each.signal_mv) <= largest)).sum()) for name, each in leads.items()
    }
    if any(n_bad.values()):
        bad = {name: n for name, n in n_bad.items() if n}
        where = ", ".join(f"{name} {n} of {len(leads[name].signal_mv)}" for name, n in bad.items())
        raise RecordingError(
            f"{file}: samples marked as missing, or not finite (in {where})", "nan"
        )


def _short(text: str | None) -> str:
    return repr((text or "")[:16])


@dataclass(frozen=True, kw_only=True, slots=True)
class LeadGroup:
    """Leads that were recorded together; none of them is decoded yet."""

    leads: tuple[str, ...]
    """Leads of the twelve that it has, by canonical name."""
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
            f"{file} holds only derived samples, such as median beats, and no rhythm; export the "
            "recording itself",
            "derived",
        )
    if not with_leads:
        raise RecordingError(
            f"{file} has none of the twelve leads under a known name", "missing_lead"
        )
    best = max(with_leads, key=lambda group: (len(set(group.leads)), group.seconds))
    apart = [lead for group in with_leads for lead in group.leads if lead not in best.leads]
    if apart:
        raise RecordingError(
            f"{file} has {listing(list(dict.fromkeys(apart)))} in another group than "
            f"{listing(best.leads)}: leads recorded at different times are not combined; export "
            "twelve simultaneous leads",
            "leads_apart",
        )
    return best
