"""DICOM waveforms: 12-lead, general and ambulatory ECGs.

After PS3.3 C.10.9 of the standard. A file has multiplex groups: leads that were sampled together,
in whole numbers, each with sensitivity, correction factor, baseline and unit. Groups that were
computed, such as median beats, are not read.

Reads: one DICOM file with its preamble, of any explicit or implicit little-endian transfer syntax
that is not compressed.
"""

from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any, ClassVar

import numpy as np

from mvkt_ray.data.sources.file_signal import (
    FileSignal,
    LeadGroup,
    Leads,
    PatientFacts,
    choose_group,
)
from mvkt_ray.data.sources.hospital.dicom_channel import DicomChannel, channels_of
from mvkt_ray.data.sources.hospital.file_content import expect_package
from mvkt_ray.data.sources.hospital.file_folder import FileFolder
from mvkt_ray.data.sources.hospital.header_facts import facts_of
from mvkt_ray.errors import RecordingError

_WANTED = ["PatientID", "PatientAge", "PatientSex", "PatientBirthDate", "AcquisitionDateTime",
           "AcquisitionDate", "StudyDate", "WaveformSequence"]  # fmt: skip
_BIG_ENDIAN, _DEFLATED = "1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.1.99"
_META_BYTES = 4096
"""The file's meta information, which names the transfer syntax, is in the first of them."""
_TYPES = {
    (8, "SB"): "<i1", (8, "UB"): "<u1", (16, "SS"): "<i2", (16, "US"): "<u2",
    (32, "SL"): "<i4", (32, "UL"): "<u4",
}  # fmt: skip
_COMPANDED = ("AB", "MB")
_COMPUTED = ("MEDIAN", "AVERAGE", "BEAT")
"""Words in the labels of groups that are no rhythm, whatever they say of their originality."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DicomFolder(FileFolder):
    """DICOM files of waveforms, with or without a table of labels."""

    name: ClassVar[str] = "dicom"
    holds: ClassVar[str] = "DICOM files (.dcm, or without a suffix)"
    suffixes: ClassVar[tuple[str, ...]] = (".dcm", ".dicom", ".ima")
    largest_bytes: ClassVar[int] = 1 << 28

    def expect_reader(self) -> None:
        """Raise ConfigError unless pydicom is installed."""
        expect_package("pydicom", self.name, "dicom")

    def takes(self, name: str) -> bool:
        """Whether a file may be DICOM; many are called `IM000001`, or by a UID of digits alone."""
        _, dot, suffix = name.rpartition(".")
        is_own = not dot or suffix.isdigit() or f".{suffix.lower()}" in self.suffixes
        return is_own and name.upper() != "DICOMDIR"

    def decode(self, content: bytes, file: str) -> FileSignal:
        """Understand a file; see `FileFolder.decode`."""
        import pydicom
        from pydicom.config import disable_value_validation

        if _DEFLATED in content[:_META_BYTES]:
            raise RecordingError(
                f"{file} is compressed as a whole (deflate), so its size in memory cannot be "
                "checked; store it uncompressed",
                "unsupported",
            )
        # Warnings of pydicom quote the values that they are about.
        with disable_value_validation():
            dataset: Any = pydicom.dcmread(BytesIO(content), specific_tags=_WANTED)
            if dataset.file_meta.get("TransferSyntaxUID") == _BIG_ENDIAN:
                raise RecordingError(
                    f"{file} is big-endian, which DICOM has retired; store it as little-endian",
                    "unsupported",
                )
            items = list(dataset.get("WaveformSequence") or [])
            if not items:
                raise RecordingError(f"{file} is DICOM without a waveform", "no_waveform")
            original = [item for item in items if not _is_computed(item)]
            groups = [_group(file, item) for item in original]
            chosen = choose_group(file, groups, len(items) - len(original))
            return chosen.decode().together(_patient(dataset))


def _is_computed(item: Any) -> bool:
    label = str(item.get("MultiplexGroupLabel", "")).upper()
    is_derived = str(item.get("WaveformOriginality", "")).upper() == "DERIVED"
    return is_derived or any(word in label for word in _COMPUTED)


def _group(file: str, item: Any) -> LeadGroup:
    channels = channels_of(item, file)
    rate_hz = float(item.get("SamplingFrequency") or 0)
    n_samples = int(item.get("NumberOfWaveformSamples") or 0)
    return LeadGroup(
        leads=tuple(channel.lead for channel in channels),
        seconds=n_samples / rate_hz if rate_hz > 0 else 0.0,
        decode=partial(_decoded, file, item, channels, rate_hz, n_samples),
    )


def _decoded(
    file: str, item: Any, channels: list[DicomChannel], rate_hz: float, n_samples: int
) -> Leads:
    raw = _raw_samples(file, item, n_samples)
    padding = _padding(item, raw.dtype)
    skews = [channel.skew_samples(rate_hz) for channel in channels]
    n_common = n_samples - (max(skews) - min(skews))
    if n_common <= 0:
        raise RecordingError(
            f"{file}: by their skews the leads share no time; correct the skews",
            "header_mismatch",
        )
    leads = Leads(file)
    for channel, skew in zip(channels, skews, strict=True):
        # Sample 0 of a lead is `skew` samples later than that of the group.
        begin = max(skews) - skew
        samples = raw[begin : begin + n_common, channel.column]
        channel.check_range(samples, padding, file)
        values = samples.astype(np.float64)
        if padding is not None:
            values[samples == padding] = np.nan
        leads.add(
            channel.lead,
            channel.in_mv(values, leads, file),
            rate_hz,
            is_calibrated=channel.is_calibrated,
        )
    return leads


def _raw_samples(file: str, item: Any, n_samples: int) -> np.ndarray:
    """Return `[n_samples, n_channels]`, once the size that is stated agrees with the data."""
    bits = int(item.get("WaveformBitsAllocated") or 0)
    kind = str(item.get("WaveformSampleInterpretation", ""))
    n_channels = int(item.get("NumberOfWaveformChannels") or 0)
    if (bits, kind) not in _TYPES:
        what = "companded, as sound is," if kind in _COMPANDED else f"{kind[:4]!r} of {bits} bits,"
        raise RecordingError(
            f"{file}: its samples are {what} which is not supported; store them as whole numbers",
            "unsupported",
        )
    data = item.get("WaveformData") or b""
    stated = n_samples * n_channels * bits // 8
    if len(data) - stated not in (0, stated % 2) or n_samples < 0:
        raise RecordingError(
            f"{file} states {stated:,} bytes of samples, and {len(data):,} are there; restore the "
            "file",
            "truncated" if len(data) < stated else "header_mismatch",
        )
    samples = np.frombuffer(data[:stated], dtype=_TYPES[bits, kind])
    return samples.reshape(n_samples, n_channels)


def _padding(item: Any, kind: np.dtype[Any]) -> int | None:
    """Return what stands where a sample is missing."""
    value = item.get("WaveformPaddingValue")
    if value is None or (isinstance(value, bytes) and len(value) < kind.itemsize):
        return None
    if isinstance(value, bytes):
        return int(np.frombuffer(value[: kind.itemsize], dtype=kind)[0])
    return int(value)


def _patient(dataset: Any) -> PatientFacts:
    def text(name: str) -> str:
        return str(dataset.get(name) or "")

    recorded = text("AcquisitionDateTime") or text("AcquisitionDate") or text("StudyDate")
    return facts_of(
        patient_id=text("PatientID"),
        age=text("PatientAge"),
        sex=text("PatientSex"),
        born=text("PatientBirthDate"),
        recorded=recorded,
    )
