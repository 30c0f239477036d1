"""The leads of a WFDB record that joins several others, its segments.

After header(5): in the fixed layout all segments have the same signals. In the variable layout the
first segment has no samples; its header lists all signals, and each other segment has some of them.
Signals are joined by name, each in the units of its own segment.

Reads: the headers of the segments, and the signal files that they name.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvkt_ray.data.recording import canonical_lead
from mvkt_ray.data.wfdb_format.wfdb_files import read_header
from mvkt_ray.data.wfdb_format.wfdb_header import NO_FILE, SegmentLine, WfdbHeader
from mvkt_ray.data.wfdb_format.wfdb_signals import LeadSignal, WfdbLeads, lead_lines, read_leads
from mvkt_ray.errors import RecordingError


def read_segments(header: WfdbHeader) -> WfdbLeads:
    """Read those of the twelve leads that the segments have, joined.

    Raises:
        RecordingError: as `read_leads` for each segment; `header_mismatch` where headers
            contradict each other; `nan` where samples of a lead are missing in between.
    """
    assert header.segments is not None
    lines = header.segments
    total = sum(line.n_frames for line in lines)
    if total == 0 or header.n_frames not in (None, total):
        raise RecordingError(
            f"{header.file} states {header.n_frames or 0} samples of each signal, and segments of "
            f"{total} in all; correct the numbers",
            "header_mismatch",
        )
    segments = [_open_segment(header, line, n) for n, line in enumerate(lines, start=1)]
    is_variable = lines[0].n_frames == 0
    layout, samples = segments[0], segments[1:] if is_variable else segments
    _check_signals(header, layout, samples, is_variable)
    parts = [read_leads(segment) for segment in samples]
    return WfdbLeads(
        leads={
            lead: _join(header, lead, [part.leads[lead] for part in parts])
            for lead in parts[0].leads
        },
        n_frames=total,
    )


def _open_segment(header: WfdbHeader, line: SegmentLine, number: int) -> WfdbHeader:
    """Read the header of a segment, and check it against the record's."""
    where = f"{header.file}, segment {number} ({line.name})"
    if line.name == NO_FILE:
        raise RecordingError(
            f"{where} is a gap of {line.n_frames} samples; cut the record there", "nan"
        )
    segment = read_header(str(Path(header.file).parent / line.name))
    is_layout = number == 1 and line.n_frames == 0
    if segment.segments is not None:
        problem = "joins segments, as none may that is one"
    elif segment.frame_rate_hz != header.frame_rate_hz:
        problem = f"has {segment.frame_rate_hz:g} Hz, the record {header.frame_rate_hz:g} Hz"
    elif line.n_frames == 0 and not is_layout:
        problem = "states 0 samples, as only the first segment may, which then lists the signals"
    elif not is_layout and segment.n_frames not in (None, line.n_frames):
        problem = f"has {segment.n_frames} samples, and {line.n_frames} by the record's header"
    else:
        return replace(segment, n_frames=line.n_frames or None)
    raise RecordingError(f"{where} {problem}; correct the headers", "header_mismatch")


def _check_signals(
    header: WfdbHeader, layout: WfdbHeader, segments: Sequence[WfdbHeader], is_variable: bool
) -> None:
    """Check that every lead is listed, and in all segments."""
    listed = {canonical_lead(line.description) for line in layout.signals}
    has_leads = [set(lead_lines(segment)) for segment in segments]
    present = set[str]().union(*has_leads)
    for segment, leads in zip(segments, has_leads, strict=True):
        missing = sorted(present - leads)
        if missing and is_variable and present <= listed:
            raise RecordingError(
                f"{header.file}: {', '.join(missing)} have no samples in {segment.file}; cut the "
                "record there",
                "nan",
            )
        n_signals = layout.n_signals if is_variable else segment.n_signals
        if missing or not leads <= listed or n_signals != header.n_signals:
            raise RecordingError(
                f"{header.file} states {header.n_signals} signals, but {layout.file} lists "
                f"{_descriptions(layout)}, and {segment.file} {_descriptions(segment)}; correct "
                "the headers",
                "header_mismatch",
            )


def _descriptions(header: WfdbHeader) -> str:
    return ", ".join(line.description or "a signal without a name" for line in header.signals)


def _join(header: WfdbHeader, lead: str, parts: Sequence[LeadSignal]) -> LeadSignal:
    for what in ("samples_per_frame", "skew_frames"):
        values = sorted({getattr(part, what) for part in parts})
        if len(values) > 1:
            raise RecordingError(
                f"{header.file}: lead {lead} has {what.replace('_', ' ')} "
                f"{' and '.join(map(str, values))} in its segments, which cannot be joined; cut "
                "the record there",
                "header_mismatch",
            )
    return replace(
        parts[0],
        signal_mv=np.concatenate([part.signal_mv for part in parts]),
        is_calibrated=all(part.is_calibrated for part in parts),
    )
