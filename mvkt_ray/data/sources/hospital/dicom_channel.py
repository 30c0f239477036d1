"""One channel of a DICOM multiplex group: which lead it is, and what its whole numbers mean."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mvkt_ray.data.sources.file_signal import Leads
from mvkt_ray.data.sources.hospital.lead_names import lead_named, lead_of_code
from mvkt_ray.errors import RecordingError

_NO_SIGNAL = {"DISCONNECTED", "INVALID", "TEST_DATA", "TEST DATA"}
"""States of a channel whose samples are none of the lead."""
_UNCALIBRATED = "UNCALIBRATED"
_SIGNED = ("SB", "SS", "SL")


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomChannel:
    """A channel definition; numbers are those of PS3.3 C.10.9.1.4."""

    column: int
    """Where its samples are in the group."""
    lead: str
    """Canonical name."""
    sensitivity: float | None
    """Units of a step of one."""
    correction: float
    baseline: float
    """Value of the sample 0, in the same unit."""
    unit: str | None
    is_calibrated: bool
    bits_stored: int | None
    is_signed: bool
    time_skew_s: float
    sample_skew: float

    def skew_samples(self, rate_hz: float) -> int:
        """Return how many samples its sample 0 is later than that of the group.

        Recorders that sample one lead after the other have parts of a sample here, which are left.
        """
        return round(self.sample_skew or self.time_skew_s * rate_hz)

    def check_range(self, samples: np.ndarray, padding: int | None, file: str) -> None:
        """Compare samples with the number of bits that are stated.

        Args:
            samples: As stored.
            padding: What stands in the place of missing ones.
            file: For the message.

        Raises:
            RecordingError: One has more bits: they are of another kind, or damaged.
        """
        if self.bits_stored is None or not len(samples):
            return
        present = samples if padding is None else samples[samples != padding]
        low, high = 0, (1 << self.bits_stored) - 1
        if self.is_signed:
            low, high = -(1 << (self.bits_stored - 1)), (1 << (self.bits_stored - 1)) - 1
        if len(present) and not (low <= int(present.min()) and int(present.max()) <= high):
            raise RecordingError(
                f"{file}: a sample of lead {self.lead} exceeds the stated {self.bits_stored} "
                "bits; correct the number, or restore the file",
                "header_mismatch",
            )

    def in_mv(self, values: np.ndarray, leads: Leads, file: str) -> np.ndarray:
        """Return samples in mV.

        Args:
            values: float64, NaN for missing ones.
            leads: Knows units.
            file: For messages.

        Raises:
            RecordingError: Sensitivity or unit are not stated.
        """
        if not self.sensitivity or not self.correction:
            raise RecordingError(
                f"{file}: lead {self.lead} states no sensitivity, so its amplitude is unknown; "
                "export it again",
                "uncalibrated",
            )
        scale = leads.scale(self.lead, self.unit)
        return (values * (self.sensitivity * self.correction) + self.baseline) * scale


def channels_of(item: Any, file: str) -> list[DicomChannel]:
    """Return those channels of a multiplex group that are one of the twelve leads.

    Args:
        item: Of the waveform sequence.
        file: For messages.

    Raises:
        RecordingError: Code and text of a channel name two leads, or definitions are missing.
    """
    definitions = list(item.get("ChannelDefinitionSequence") or [])
    n_channels = int(item.get("NumberOfWaveformChannels") or 0)
    if len(definitions) != n_channels:
        raise RecordingError(
            f"{file} states {n_channels} channels, and defines {len(definitions)}; restore the "
            "file",
            "header_mismatch",
        )
    interpretation = str(item.get("WaveformSampleInterpretation", ""))
    found: list[DicomChannel] = []
    for column, definition in enumerate(definitions):
        states = {str(state).upper() for state in _several(definition.get("ChannelStatus"))}
        lead = _lead(definition, file)
        if lead is None or states & _NO_SIGNAL:
            continue
        bits = definition.get("WaveformBitsStored")
        found.append(
            DicomChannel(
                column=column,
                lead=lead,
                sensitivity=_number(definition, "ChannelSensitivity", None),
                correction=_number(definition, "ChannelSensitivityCorrectionFactor", 1.0) or 0.0,
                baseline=_number(definition, "ChannelBaseline", 0.0) or 0.0,
                unit=_code(definition.get("ChannelSensitivityUnitsSequence"))[1],
                is_calibrated=_UNCALIBRATED not in states,
                bits_stored=None if bits is None else int(bits),
                is_signed=interpretation in _SIGNED,
                time_skew_s=_number(definition, "ChannelTimeSkew", 0.0) or 0.0,
                sample_skew=_number(definition, "ChannelSampleSkew", 0.0) or 0.0,
            )
        )
    return found


def _lead(definition: Any, file: str) -> str | None:
    """Return the lead by code, by meaning, or by the label that the device gave."""
    scheme, code, meaning = _code(definition.get("ChannelSourceSequence"))
    by_code = lead_of_code(scheme, code or "")
    by_meaning = lead_named(meaning)
    if by_code and by_meaning and by_code != by_meaning:
        raise RecordingError(
            f"{file}: a channel has the code of lead {by_code} but the name {by_meaning}; correct "
            "one of the two",
            "header_mismatch",
        )
    return by_code or by_meaning or lead_named(str(definition.get("ChannelLabel", "")))


def _code(sequence: Any) -> tuple[str, str | None, str]:
    """Return scheme, value and meaning of the first code of a sequence."""
    if not sequence:
        return "", None, ""
    first = sequence[0]
    value = first.get("CodeValue")
    return (
        str(first.get("CodingSchemeDesignator", "")),
        None if value is None else str(value),
        str(first.get("CodeMeaning", "")),
    )


def _number(definition: Any, name: str, default: float | None) -> float | None:
    value = definition.get(name)
    return default if value is None or value == "" else float(value)


def _several(value: Any) -> list[Any]:
    """Return the values of an element that may have one, several or none."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
