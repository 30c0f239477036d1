"""A study without training: made-up learning curves stand in for students."""

import contextlib
import math
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, PrunerConfig, Scalar, SearchConfig
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, driving, reading
from mvkt_ray.search.ledger.ledger_shipping import Shipment
from mvkt_ray.search.ledger.postgres.driver_lock import DriverLock
from mvkt_ray.search.ledger.postgres.noted_server import read_note
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from mvkt_ray.search.ledger.sqlite_url import url_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from tests.begun_study import begun_study
from tests.postgres_server import PostgresServer

LEADS = ("I", "II", "V1", "V5")
BEST_TEMPERATURE = 3.0


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The macro AUROC of a made-up student, a function of its trial alone."""

    lead_offsets: dict[str, float] = field(
        default_factory=lambda: {"I": 0.80, "II": 0.85, "V1": 0.60, "V5": 0.75}
    )
    noise: float = 0.0

    def at(self, trial: Trial, epoch: int) -> float:
        """Value after an epoch: it rises to a height that is best at one temperature."""
        temperature = float(trial.hyperparameters["distill_temperature"])
        height = -0.05 * math.log(temperature / BEST_TEMPERATURE) ** 2
        wobble = self.noise * math.sin(12.9898 * (trial.number + 1) + 78.233 * temperature)
        offset = self.lead_offsets[trial.condition.name]
        return offset + height + wobble - 0.2 * math.exp(-epoch / 3)


@dataclass
class Lab:
    """Makes studies in a folder and runs made-up trials in them."""

    folder: Path
    curve: Curve = field(default_factory=Curve)
    opened: list[Study] = field(default_factory=list[Study])

    def config(self, **search: Any) -> StudyConfig:
        """A study of four leads, three hyper-parameters and six epochs."""
        space = {
            "distill_temperature": ParameterConfig(low=1.0, high=8.0, log=True),
            "kd_weight": ParameterConfig(low=0.1, high=10.0, log=True),
            "negatives": ParameterConfig(choices=("disjoint", "any")),
        }
        defaults: dict[str, Any] = {
            "leads": ("II", "V1"),
            "n_trials": 14,
            "n_startup_trials": 4,
            "pruner": PrunerConfig(min_epochs=1, reduction_factor=2),
        }
        return StudyConfig(
            name="lab",
            seed=7,
            space=space,
            student=StudentConfig(epochs=6),
            search=SearchConfig(**{**defaults, **search}),
        )

    def with_space(self, config: StudyConfig, more: Mapping[str, ParameterConfig]) -> StudyConfig:
        """The same study with more to draw, or to fix."""
        return replace(config, space={**config.space, **more})

    @property
    def url(self) -> str:
        """Of the ledger."""
        return url_of(self.folder / "ledger.db")

    def open(self, config: StudyConfig, *, resume: bool = False, **options: Any) -> Study:
        """Start the study of this folder, or go on with it."""
        study = begun_study(
            config,
            SearchSpace.from_config(config, LEADS),
            self.database(options.pop("url", self.url), options.pop("shipment", None)),
            resume=resume,
            inputs=options.pop("inputs", {"shards": "s" * 64}),
            **options,
        )
        self.opened.append(study)
        return study

    def database(self, url: str, shipment: Shipment | None) -> LedgerDatabase:
        """Where a driver of the study writes."""
        return LedgerDatabase(url, shipment)

    def look(self, config: StudyConfig | None = None) -> Study:
        """Open the study of this folder as `mvkt status` does; it has its own configuration."""
        study = Study.open(config or self.config(), LedgerDatabase(self.url))
        self.opened.append(study)
        return study

    def ledger_bytes(self) -> bytes:
        """The ledger as it is on disk."""
        return (self.folder / "ledger.db").read_bytes()

    def train(self, study: Study, trial: Trial, scored: Container[int] | None = None) -> None:
        """Run a trial from its first epoch to its end, as a resumed one does, too.

        Args:
            study: Whom it reports to.
            trial: Which one.
            scored: The epochs that have a score; None: all.
        """
        value, epoch, state = 0.0, 0, TrialState.COMPLETE
        for epoch in range(1, study.config.student.epochs + 1):
            value = self.curve.at(trial, epoch)
            told = value if scored is None or epoch in scored else None
            metrics = EpochMetrics(epoch=epoch, macro_auroc=told)
            if study.report(trial.number, metrics) is Decision.PRUNE:
                state = TrialState.PRUNED
                break
        study.tell(ended(trial, state, value, epoch))

    def run(
        self,
        study: Study,
        until: Callable[[], bool] = lambda: False,
        scored: Container[int] | None = None,
    ) -> None:
        """Run the trials of a study, one after the other."""
        while not until() and (trial := study.ask()) is not None:
            self.train(study, trial, scored)

    def facts(self, study: Study) -> list[Any]:
        """Everything about the trials but the times of day."""
        return [replace(record, started_at=None, ended_at=None) for record in study.trials()]


@dataclass
class ServerLab(Lab):
    """A lab whose ledger is in PostgreSQL; to open its study again is to take it over."""

    server: str = ""
    patience: Patience = field(default_factory=lambda: Patience(first_pause_s=0.05))
    drivers: list[contextlib.ExitStack] = field(default_factory=list[contextlib.ExitStack])

    @property
    def study_folder(self) -> StudyFolder:
        """Where the note of the ledger is."""
        return StudyFolder(Location.parse(self.folder / "study"))

    def database(self, url: str, shipment: Shipment | None) -> LedgerDatabase:
        """Be the driver in place of the one before; a study at another URL is no server's."""
        if url != self.url:
            return super().database(url, shipment)
        self.stop()
        self.drivers.append(contextlib.ExitStack())
        return self.drivers[-1].enter_context(self.drive())

    def drive(self) -> AbstractContextManager[LedgerDatabase]:
        """Be another driver, which is refused while there is one."""
        return driving(
            self.study_folder, server=ServerAddress.parse(self.server), patience=self.patience
        )

    def take_over(self) -> DriverLock:
        """Be the driver from another machine, which sees no lock of the folder."""
        noted = read_note(self.study_folder)
        assert noted is not None
        return DriverLock.take(noted.address, noted.key, "the study", self.patience)

    def stop(self) -> None:
        """End the driver, as a kill does."""
        while self.drivers:
            self.drivers.pop().close()

    def look(self, config: StudyConfig | None = None) -> Study:
        """Open the study as `mvkt status` does; it has its own configuration."""
        with reading(self.study_folder) as database:
            study = Study.open(config or self.config(), database)
        self.opened.append(study)
        return study


def ended(trial: Trial, state: TrialState, value: float, epoch: int) -> TrialResult:
    """The result of a trial that ran without trouble."""
    return TrialResult(
        number=trial.number,
        state=state,
        macro_auroc=value,
        per_class_auroc={"MI": value, "HYP": math.nan},
        epochs=epoch,
        wall_s=float(epoch),
        n_parameters=size_of(trial),
        n_multiply_accumulates=100 * size_of(trial),
    )


def size_of(trial: Trial) -> int:
    """Parameters of a made-up student: the larger, the higher the temperature that it bears."""
    return round(1000 * float(trial.hyperparameters["distill_temperature"]))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A folder for one study."""
    made = Lab(tmp_path)
    yield made
    for study in made.opened:
        study.close()


@pytest.fixture
def server_lab(tmp_path: Path, postgres: PostgresServer) -> Iterator[ServerLab]:
    """A folder for one study, and a database for its ledger."""
    made = ServerLab(tmp_path, server=postgres.make_database())
    yield made
    for study in made.opened:
        study.close()
    made.stop()


@pytest.fixture
def make_config() -> Callable[..., StudyConfig]:
    """A study with a given search space."""

    def make(space: dict[str, ParameterConfig | Scalar], **fields: Any) -> StudyConfig:
        rows = {
            name: row if isinstance(row, ParameterConfig) else ParameterConfig(value=row)
            for name, row in space.items()
        }
        return StudyConfig(name="lab", space=rows, **fields)

    return make
