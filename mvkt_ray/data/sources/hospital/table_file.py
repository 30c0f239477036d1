"""Recordings as plain tables: a CSV, Parquet or `.npy` file for each, without a header.

None of these says its unit or its rate, so the user has to, once for the folder. CSV and Parquet
files have a column for each lead, called after it, and other columns that are not looked at; an
array does not name its leads, so the user has to for them too.

Reads: one file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mvkt_ray.data.recording import LEADS, canonical_lead, mv_per_unit
from mvkt_ray.data.sources.file_signal import HIGHEST_HZ, FileSignal, Leads
from mvkt_ray.data.sources.hospital.file_folder import FileFolder
from mvkt_ray.data.sources.hospital.lead_names import lead_named
from mvkt_ray.data.sources.hospital.signal_tables import array_in, leads_in_table
from mvkt_ray.errors import ConfigError, RecordingError

_VALUE_BYTES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class TableFolder(FileFolder):
    """CSV, Parquet and `.npy` files of one rate and unit, with or without a table of labels."""

    name: ClassVar[str] = "table"
    holds: ClassVar[str] = "recordings as .csv, .parquet or .npy"
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".parquet", ".npy")
    largest_bytes: ClassVar[int] = 1 << 28

    rate_hz: float | None = None
    """Of all files; must be given."""
    unit: str | None = None
    """Of all files, as `mV` or `uV`; must be given."""
    leads: tuple[str, ...] | None = None
    """Leads of arrays, in order."""

    def expect_reader(self) -> None:
        """Raise ConfigError unless rate and unit are given."""
        check_rate_and_unit(self.name, self.rate_hz, self.unit)
        if self.leads is not None:
            check_leads(self.name, self.leads)

    def decode(self, content: bytes, file: str) -> FileSignal:
        """Understand a file; see `FileFolder.decode`."""
        assert self.rate_hz is not None
        suffix = file.rpartition(".")[2].lower()
        if suffix == "csv":
            named = leads_in_table(content, file)
        elif suffix == "parquet":
            named = _leads_in_parquet(content, file, self.largest_bytes)
        else:
            named = named_rows(array_in(content, file), self.leads, file)
        leads = Leads(file)
        for lead, values in named.items():
            in_mv = values.astype(np.float64) * leads.scale(lead, self.unit)
            leads.add(lead, in_mv, self.rate_hz)
        return leads.together()


def check_rate_and_unit(source: str, rate_hz: float | None, unit: str | None) -> None:
    """Raise ConfigError unless both are given, and are what they should be."""
    if rate_hz is None or not 0 < rate_hz <= HIGHEST_HZ:
        raise ConfigError(
            f"the source {source!r} needs the sampling rate, which its files do not state; "
            f"rate_hz is {rate_hz!r}. Give it, as --option rate_hz=500."
        )
    check_unit(source, unit)


def check_unit(source: str, unit: str | None) -> None:
    """Raise ConfigError unless a unit of voltage is given."""
    if unit is None or mv_per_unit(unit) is None:
        raise ConfigError(
            f"the source {source!r} needs the unit, which its files do not state; unit is "
            f"{unit!r}. Give nV, uV, mV or V, as --option unit=mV."
        )


def check_leads(source: str, leads: Sequence[str]) -> None:
    """Raise ConfigError unless all are leads, each once."""
    known = [canonical_lead(lead) for lead in leads]
    if None in known or len(set(known)) < len(known) or not known:
        raise ConfigError(
            f"the option leads of the source {source!r} is {', '.join(leads)!r}, but must be some "
            f"of {', '.join(LEADS)}, each once, in the order of the arrays."
        )


def named_rows(array: np.ndarray, leads: Sequence[str] | None, file: str) -> dict[str, np.ndarray]:
    """Return the rows, or the columns, of an array that has as many of them as there are leads.

    Args:
        array: `[n_leads, n_samples]` or `[n_samples, n_leads]`.
        leads: As the user gave them.
        file: For messages.

    Raises:
        RecordingError: No leads were given, or it cannot be seen which side they are.
    """
    if leads is None:
        raise RecordingError(
            f"{file} is an array, which does not name its leads; give them in order, as --option "
            "leads=I,II,V1",
            "missing_lead",
        )
    is_number = np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)
    sides = [side for side, n in enumerate(array.shape) if n == len(leads)]
    if array.ndim != 2 or len(sides) != 1 or not is_number:
        shape = " x ".join(map(str, array.shape)) or "a single value"
        raise RecordingError(
            f"{file} is {shape} of {array.dtype}, but must be numbers, {len(leads)} leads x "
            "samples or samples x leads, unambiguously",
            "wrong_shape",
        )
    rows = array if sides == [0] else array.T
    return {canonical_lead(lead) or lead: row for lead, row in zip(leads, rows, strict=True)}


def _leads_in_parquet(content: bytes, file: str, most_bytes: int) -> dict[str, np.ndarray]:
    with pq.ParquetFile(BytesIO(content)) as table:
        named = [(lead_named(name), name) for name in table.schema_arrow.names]
        columns = [(lead, name) for lead, name in named if lead is not None]
        twice = [lead for lead, _ in columns if [each for each, _ in columns].count(lead) > 1]
        if twice:
            raise RecordingError(f"{file} names lead {twice[0]} twice", "header_mismatch")
        n_rows = table.metadata.num_rows
        if n_rows * len(columns) * _VALUE_BYTES > most_bytes:
            raise RecordingError(
                f"{file} states {n_rows:,} samples per lead, above the limit; cut it into shorter "
                "recordings",
                "too_large",
            )
        found = table.read(columns=[name for _, name in columns])
    wrong = [field.name for field in found.schema if not _is_number(field.type)]
    if wrong:
        raise RecordingError(f"{file}: the column {wrong[0]!r} holds no numbers", "unreadable")
    return {lead: found.column(name).to_numpy().astype(np.float64) for lead, name in columns}


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)
