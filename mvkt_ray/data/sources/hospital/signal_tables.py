"""Recordings without a header: CSV files and `.npy` arrays of millivolts, at a rate that is given.

A CSV file has a column for each lead, named in its first line; other columns are not looked at. For
a model of one lead it may be one column of numbers without a name. An array holds what the model
sees and nothing else: `[n_leads, n_samples]` in the model's order, or `[n_samples]` for one lead.

Reads: one CSV file or one `.npy` file.
"""

import csv
import io
import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from mvkt_ray.data.recording import LEADS, canonical_lead
from mvkt_ray.data.sources.hospital.lead_names import lead_named
from mvkt_ray.errors import RecordingError
from mvkt_ray.phrasing import listing, one_line
from mvkt_ray.storage.location import Location


def read_table(location: Location, leads: Sequence[str]) -> np.ndarray:
    """Read some leads of a CSV file.

    Args:
        location: Of the file.
        leads: Canonical names.

    Returns:
        float32 `[n_leads, n_samples]`, mV; NaN where a cell says `nan`.

    Raises:
        RecordingError: with reason `unreadable`, `missing_lead` or `empty`.
    """
    text = _text(location.read_bytes(), location)
    first = _first_row(location, text)
    has_names = not all(map(_is_number, first))
    columns = _columns_of(location, first, leads) if has_names else _only(location, first, leads)
    return _as_float32(_values(location, text, columns, n_before=int(has_names)))


def leads_in_table(content: bytes, file: object) -> dict[str, np.ndarray]:
    """Read those of the twelve leads that a CSV file names in its first line.

    Args:
        content: Of the file.
        file: Its path, for messages.

    Returns:
        float64 `[n_samples]` by canonical name; NaN where a cell says `nan`.

    Raises:
        RecordingError: with reason `unreadable`, `missing_lead` or `empty`.
    """
    text = _text(content, file)
    names = _first_row(file, text)
    place_of = _places(file, names, lead_named)
    if not place_of:
        # What such a line says instead may be a person's name.
        raise RecordingError(
            f"{file} has no lead: none of the {len(names)} cells of its first line is the name of "
            "a lead",
            "missing_lead",
        )
    leads = [lead for lead in LEADS if lead in place_of]
    values = _values(file, text, [place_of[lead] for lead in leads], n_before=1)
    return dict(zip(leads, values, strict=True))


def _values(file: object, text: str, columns: Sequence[int], n_before: int) -> np.ndarray:
    """Return float64 `[n_columns, n_samples]`."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*input contained no data")
            values = np.loadtxt(
                io.StringIO(text), delimiter=",", skiprows=n_before, usecols=columns,
                ndmin=2, comments=None,
            )  # fmt: skip
    except ValueError as error:
        raise RecordingError(
            f"{file}: a cell is not a number, or a line is too short "
            f"({one_line(error).rstrip('.')}; numpy counts rows from 0, without the names)",
            "unreadable",
        ) from error
    if not values.size:
        raise RecordingError(f"{file} has no samples", "empty")
    return values.T


def read_array(location: Location, leads: Sequence[str]) -> np.ndarray:
    """Read an array of the leads.

    Args:
        location: Of the file.
        leads: Canonical names, in the order of the array's rows.

    Returns:
        float32 `[n_leads, n_samples]`, mV.

    Raises:
        RecordingError: with reason `unreadable` or `wrong_shape`.
    """
    array = array_in(location.read_bytes(), location)
    if not np.issubdtype(array.dtype, np.floating):
        raise RecordingError(
            f"{location} holds {array.dtype}, but must hold millivolts as floating-point numbers",
            "unreadable",
        )
    rows = array[None] if array.ndim == 1 else array
    if rows.ndim != 2 or len(rows) != len(leads):
        shape = " x ".join(map(str, array.shape)) or "a single number"
        of_one = ", or one row of samples" if len(leads) == 1 else ""
        raise RecordingError(
            f"{location} is {shape}, but must be {len(leads)} x samples for the model's "
            f"{listing(leads)}{of_one}; an array does not name its leads",
            "wrong_shape",
        )
    return _as_float32(rows)


def array_in(content: bytes, file: object) -> np.ndarray:
    """Return the array of a `.npy` file, of whatever type and shape.

    Args:
        content: Of the file.
        file: Its path, for messages.

    Raises:
        RecordingError: with reason `unreadable`.
    """
    try:
        _check_length(content)
        return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except MemoryError:
        raise
    except Exception as error:  # whatever damaged bytes lead to
        raise RecordingError(
            f"{file} is not an array written by numpy.save ({one_line(error)})", "unreadable"
        ) from error


def _check_length(content: bytes) -> None:
    """Raise unless an array has the bytes that its header claims: numpy reserves them before.

    Raises:
        ValueError: It has fewer, or is no array.
    """
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read_header is None:
        raise ValueError(f"version {version} of the format is for structured arrays")
    shape, _, dtype = read_header(stream)
    claimed, there = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if claimed > there:
        raise ValueError(f"its header states {claimed:,} bytes of values, but there are {there:,}")


def _as_float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # what becomes infinite is found afterwards
        return np.ascontiguousarray(values, dtype=np.float32)


def _text(content: bytes, file: object) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{file} is not text in UTF-8", "unreadable") from error


def _first_row(file: object, text: str) -> list[str]:
    try:
        cells = next(csv.reader([text.partition("\n")[0]]), [])
    except csv.Error as error:
        raise RecordingError(f"{file} is not a CSV file ({error})", "unreadable") from error
    if not any(cell.strip() for cell in cells):
        raise RecordingError(f"{file}: the first line is empty", "unreadable")
    return cells


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _columns_of(file: object, names: Sequence[str], leads: Sequence[str]) -> list[int]:
    """Return where the leads are among the names of columns."""
    place_of = _places(file, names, canonical_lead)
    missing = [lead for lead in leads if lead not in place_of]
    if missing:
        there = [lead for lead in LEADS if lead in place_of]
        has = (
            f"it names {listing(there)}" if there else f"its first line is {','.join(names)[:80]!r}"
        )
        raise RecordingError(f"{file} has no lead {listing(missing)}: {has}", "missing_lead")
    return [place_of[lead] for lead in leads]


def _places(
    file: object, names: Sequence[str], lead_of: Callable[[str], str | None]
) -> dict[str, int]:
    """Return the column of each lead that is named."""
    if len(names) == 1 and ";" in names[0]:
        raise RecordingError(
            f"{file}: its cells are separated by ';', but must be by commas", "unreadable"
        )
    place_of: dict[str, int] = {}
    for place, name in enumerate(names):
        lead = lead_of(name)
        if lead is not None and place_of.setdefault(lead, place) != place:
            raise RecordingError(f"{file} names lead {lead} twice", "unreadable")
    return place_of


def _only(file: object, cells: Sequence[str], leads: Sequence[str]) -> list[int]:
    """Return the one column of a file without names."""
    if len(cells) == 1 and len(leads) == 1:
        return [0]
    raise RecordingError(
        f"{file} has {len(cells)} columns without names; the first line must name the leads, "
        f"{listing(leads)} among them",
        "missing_lead",
    )
