"""The training data of the PhysioNet/CinC Challenge 2021: eight databases in one layout.

Reyna et al., "Will Two Do?", Computing in Cardiology 48, 1-4 (2021).

Reads: `training/<database>/g1/A0001.hea` and `.mat`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from mvkt_ray.data.recording import Recording, RecordingRef
from mvkt_ray.data.sources.challenge import SNOMED_TASKS, SUFFIXES, read_challenge_record
from mvkt_ray.data.sources.record_files import (
    N_EXAMPLES,
    NotListed,
    list_records,
    records_not_listed,
)
from mvkt_ray.data.sources.source import find_folder
from mvkt_ray.data.tasks import Task
from mvkt_ray.errors import ConfigError, DataError
from mvkt_ray.phrasing import did_you_mean
from mvkt_ray.storage.location import Location

DATABASES = ("cpsc_2018", "cpsc_2018_extra", "st_petersburg_incart", "ptb", "ptb-xl", "georgia",
             "chapman_shaoxing", "ningbo")  # fmt: skip

_LAYOUT = "training/<database>/g1/*.hea and *.mat, with databases such as georgia or cpsc_2018"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cinc2021:
    """The Challenge of 2021; it has neither patients nor folds, so a record is its own patient.

    Its ptb-xl and cpsc_2018 repeat those datasets: never train on the one and test on the other.
    Recordings that are identical are kept.
    """

    name: ClassVar[str] = "cinc2021"

    location: str
    """Folder that holds `training/`, or that folder itself, or one database."""
    only: tuple[str, ...] = ()
    """Databases to read; all that are there when empty."""
    skip: tuple[str, ...] = ()
    """Databases to leave out."""

    def __post_init__(self) -> None:
        for option in ("only", "skip"):
            for name in getattr(self, option):
                if name not in DATABASES:
                    raise ConfigError(
                        f"{option} of the source 'cinc2021' has {name!r}, which is no database of "
                        f"the Challenge; {did_you_mean(name, DATABASES)}"
                    )

    @property
    def has_folds(self) -> bool:
        """The Challenge has none."""
        return False

    def references(self, sampling_rate_hz: int) -> Iterator[RecordingRef]:
        """List the records by database and name; headers are read with their signals, once."""
        found = databases_in(find_folder(self.location, _LAYOUT))
        absent = [name for name in self.only if name not in found]
        if absent:
            raise DataError(
                f"{self.location!r} lacks the database {absent[0]!r} of the Challenge 2021; it "
                f"has {', '.join(found)}. Download it, or leave it out of `only`."
            )
        chosen = [
            name for name in found if name not in self.skip and (not self.only or name in self.only)
        ]
        if not chosen:
            raise DataError(
                f"`skip` excludes all databases of {self.location!r}: it has {', '.join(found)}, "
                f"and {', '.join(self.skip)} are skipped. Skip fewer."
            )
        return _references({name: found[name] for name in chosen})

    def not_listed(self, sampling_rate_hz: int) -> NotListed:
        """Count the records beside its databases, in folders of other names."""
        folder = find_folder(self.location, _LAYOUT)
        found = databases_in(folder)
        if folder.name in found:
            return NotListed()
        training = next(iter(found.values())).parent
        _, folders, _ = next(training.walk())
        others = [
            records_not_listed(training, (), below=name) for name in folders if name not in found
        ]
        return NotListed(
            n_records=sum(other.n_records for other in others),
            examples=tuple(name for other in others for name in other.examples)[:N_EXAMPLES],
            unreadable=tuple(name for other in others for name in other.unreadable),
        )

    def read(self, ref: RecordingRef) -> Recording:
        """Read one record, with age, sex and codes from its header."""
        return read_challenge_record(ref)

    def tasks(self) -> Mapping[str, Task]:
        """Return `icbeb9` and `cinc26`."""
        return SNOMED_TASKS


def databases_in(folder: Location) -> dict[str, Location]:
    """Return the Challenge's databases at or below a folder.

    Raises:
        DataError: when there is none.
    """
    if folder.name in DATABASES:
        return {folder.name: folder}
    for training in (folder / "training", folder):
        there = training.names()
        found = {name: training / name for name in DATABASES if name in there}
        if found:
            return found
    raise DataError(
        f"{folder} is not the training data of the Challenge 2021: neither 'training/' nor the "
        f"folder itself has one of {', '.join(DATABASES)}; it should hold {_LAYOUT}. Give the "
        "folder that has these, or read other WFDB records with the source 'wfdb'."
    )


def _references(databases: Mapping[str, Location]) -> Iterator[RecordingRef]:
    for path in list_records(databases.values(), SUFFIXES):
        database = next(name for name, folder in databases.items() if path.startswith(f"{folder}/"))
        yield RecordingRef(
            source=f"{Cinc2021.name}/{database}", record_id=path.rpartition("/")[2], path=path
        )
