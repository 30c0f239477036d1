"""CPSC 2018 (= ICBEB 2018): 12-lead ECGs of 6 to 60 s at 500 Hz with nine classes.

Liu et al., Journal of Medical Imaging and Health Informatics 8(7), 1368-1373 (2018).

Reads: the original `TrainingSet*/A0001.mat` with `REFERENCE.csv`, or the layout of the PhysioNet
Challenge, `training/cpsc_2018/g1/A0001.hea` and `.mat`.
"""

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mvkt_ray.data.identity import record_key
from mvkt_ray.data.recording import LEADS, Recording, RecordingRef
from mvkt_ray.data.sources.challenge import (
    CPSC_CLASSES,
    SNOMED_TASKS,
    SUFFIXES,
    read_challenge_record,
)
from mvkt_ray.data.sources.file_signal import FileSignal
from mvkt_ray.data.sources.mat_elements import expect_sound_elements
from mvkt_ray.data.sources.record_files import (
    NotListed,
    is_repeated,
    list_records,
    records_not_listed,
)
from mvkt_ray.data.sources.source import age_of, each_once, find_folder, sex_of
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import DataError, RecordingError
from mvkt_ray.storage.csv_table import open_table
from mvkt_ray.storage.location import Location

REFERENCE = "REFERENCE.csv"
_LABEL_COLUMNS = ("First_label", "Second_label", "Third_label")
_RATE_HZ = 500.0
_CODE_OF_NUMBER = {str(number): code for number, code in enumerate(CPSC_CLASSES.values(), start=1)}

_LAYOUT = (
    "TrainingSet1/ and the like with *.mat and REFERENCE.csv (the original), or "
    "training/cpsc_2018/g1/*.hea and *.mat (as in the PhysioNet Challenge)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cpsc2018:
    """CPSC 2018 in either layout, with SNOMED CT codes in both; a record is its own patient."""

    name: ClassVar[str] = "cpsc2018"

    location: str
    """Folder of either layout; which one it is, is seen from the files."""

    @property
    def has_folds(self) -> bool:
        """CPSC 2018 has none."""
        return False

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the records of the reference in its order, or of the Challenge's folders sorted."""
        folder = find_folder(self.location, _LAYOUT)
        files = _files_of_two_levels(folder)
        tables = [folder / name for name in files if _is_reference(name)]
        if tables:
            return _original_references(folder, files, _labels_of(tables))
        for candidate in (folder / "training" / "cpsc_2018", folder / "cpsc_2018", folder):
            if next(list_records([candidate], SUFFIXES), None) is not None:
                return _challenge_references(candidate)
        raise DataError(
            f"{folder} is not CPSC 2018: it has neither {REFERENCE!r} (there or in a folder below) "
            f"nor WFDB headers; it should hold {_LAYOUT}. Give the folder that has these."
        )

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Count signals that lie deeper than the original has them; it lists all others.

        A file that the reference leaves out is listed, without labels.
        """
        folder = find_folder(self.location, _LAYOUT)
        paths = [ref.path for ref in self.references(sampling_rate_hz)]
        if not any(path.lower().endswith(".mat") for path in paths):
            return NotListed()
        listed = (os.path.splitext(path)[0] for path in paths)
        return records_not_listed(folder, listed, suffix=".mat")

    def read(self, ref: RecordingRef) -> Recording:
        """Read one record, from an ECG struct or with a header."""
        if ref.path.lower().endswith(".mat"):
            return _read_struct(ref)
        return read_challenge_record(ref)

    def tasks(self) -> Mapping[str, Task]:
        """Return `icbeb9` and `cinc26`."""
        return SNOMED_TASKS


def _is_reference(name: str) -> bool:
    return name.rpartition("/")[2].lower() == REFERENCE.lower()


def _files_of_two_levels(folder: Location) -> list[str]:
    """Return the files of a folder and then of the folders in it, by relative path, sorted."""
    _, folders, files = next(folder.walk())
    for name in folders:
        _, _, below = next((folder / name).walk(), (folder, [], []))
        files += [f"{name}/{file}" for file in below]
    return files


@dataclass(frozen=True, kw_only=True, slots=True)
class _Labels:
    """A row of a reference."""

    record_id: str
    labels: str
    place: str


def _labels_of(tables: list[Location]) -> dict[str, _Labels]:
    """Join the references, by key of the record; a row may be there again, if it says the same.

    Raises:
        DataError: A row is wrong, or two rows say different things of one record.
    """
    found: dict[str, _Labels] = {}
    for location in tables:
        table = open_table(location, ("Recording", _LABEL_COLUMNS[0]), "CPSC 2018's reference")
        for row in table.rows:
            record_id = record_key(row.cells["Recording"])
            if not record_id:
                raise DataError(
                    f"{table.where(row)}: 'Recording' is empty; give the name of a record."
                )
            labels = ",".join(row.cells.get(column, "") for column in _LABEL_COLUMNS)
            mine = _Labels(record_id=record_id, labels=labels, place=table.where(row))
            before = found.setdefault(record_id.casefold(), mine)
            if before.labels != labels:
                raise DataError(
                    f"the recording {before.record_id!r} has the labels {before.labels!r} in "
                    f"{before.place}, but {labels!r} in {mine.place}. Remove the row that is wrong."
                )
    return found


def _original_references(
    folder: Location, names: Sequence[str], labels: Mapping[str, _Labels]
) -> Iterator[RecordingRef]:
    files: dict[str, Location] = {}
    path_of: dict[str, str] = {}
    for name in sorted(names, key=lambda name: name.split("/")):
        stem, suffix = os.path.splitext(name)
        key = stem.rpartition("/")[2].casefold()
        is_record = suffix.lower() == ".mat"
        if is_record and not is_repeated(path_of, key, (folder / stem).uri, suffix):
            files[key] = folder / name
    for key, row in labels.items():
        path = files.get(key, folder / f"{row.record_id}.mat")
        yield _reference(row.record_id, path, row.labels)
    # A file that the reference leaves out is listed too, without labels, so that none vanishes.
    for key, path in files.items():
        if key not in labels:
            yield _reference(os.path.splitext(path.name)[0], path, "")


def _reference(record_id: str, path: Location, labels: str) -> RecordingRef:
    return RecordingRef(
        source=Cpsc2018.name, record_id=record_id, path=path.uri, metadata={"labels": labels}
    )


def _challenge_references(folder: Location) -> Iterator[RecordingRef]:
    for path in list_records([folder], SUFFIXES):
        yield RecordingRef(source=Cpsc2018.name, record_id=path.rpartition("/")[2], path=path)


def _read_struct(ref: RecordingRef) -> Recording:
    """Read the struct `ECG` with `sex`, `age` and `data`, 12 leads x samples, in mV."""
    from scipy.io import loadmat  # It takes a third of a second, and no other source needs it.

    try:
        content = b"".join(Location(ref.path).chunks())
    except FileNotFoundError:
        raise RecordingError(f"there is no file {ref.path}", "missing_file") from None
    except OSError as cause:
        raise RecordingError(f"{ref.path} cannot be read: {cause}", "unreadable") from cause
    try:
        expect_sound_elements(content)
        struct = loadmat(io.BytesIO(content), squeeze_me=True, variable_names=["ECG"])["ECG"]
        # What becomes infinite is found afterwards.
        with np.errstate(over="ignore"):
            signal_mv = np.asarray(struct["data"].item(), dtype=np.float32)
        sex, age = str(struct["sex"].item()), struct["age"].item()
    except Exception as cause:  # scipy raises what a damaged file happens to lead to
        raise RecordingError(
            f"{ref.path} has no struct ECG with sex, age and data: {cause}", "unreadable"
        ) from cause
    if signal_mv.size == 0:
        raise RecordingError(f"{ref.path}: data has no samples", "truncated")
    if signal_mv.ndim != 2 or len(signal_mv) != len(LEADS):
        raise RecordingError(
            f"{ref.path}: data is {'x'.join(map(str, signal_mv.shape))}, not {len(LEADS)} leads x "
            "samples",
            "missing_lead",
        )
    if not np.isfinite(signal_mv).all():
        raise RecordingError(f"{ref.path}: data has samples that are not finite", "nan")
    codes = each_once([_code(label) for label in str(ref.metadata["labels"]).split(",")])
    # The format names no leads: its order is that of LEADS.
    signal = FileSignal(
        leads=LEADS, signal_mv=np.ascontiguousarray(signal_mv), sampling_rate_hz=_RATE_HZ
    )
    return signal.as_recording(ref, ref.record_id, age=age_of(age), sex=sex_of(sex), codes=codes)


def _code(label: str) -> str:
    """Return the SNOMED CT code of a class number 1 to 9; anything else as it is."""
    number = label.strip().removesuffix(".0")
    return _CODE_OF_NUMBER.get(number, number)
