"""A study in Python: its answer, its tables, and its trials as an Optuna study.

Reads: the study's folder, without its lock. Writes: the report, only by `report()`.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pandas as pd

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.delivery.facts.material import ReportMaterial, gather_material
from mvkt_ray.delivery.notebook_view import notebook_view
from mvkt_ray.delivery.report.study_report import StudyReport
from mvkt_ray.delivery.write_report import describe
from mvkt_ray.errors import ConfigError
from mvkt_ray.interface.made_report import MadeReport, write_made_report
from mvkt_ray.interface.python_errors import converted_errors, for_python
from mvkt_ray.interface.study_tables import frame_of, table_named
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The files and values of a written report."""

    page: str
    """Path or URI of the HTML page."""
    folder: str
    """Path or URI of the folder with the page, `report.json` and the CSV tables."""
    facts: StudyReport
    """Values of the report, by the keys of `report.json`."""


class Study:
    """A study at the time of opening; open it again for later changes.

    A notebook shows its answer, the ranked leads and their forest plot. Its tables are those of the
    report's CSV files: `attrs["columns"]` of each describes the columns.

    >>> study = open_study(study_dir)
    >>> study.name, study.is_final
    ('tiny', True)
    >>> study.leads[["rank", "lead", "n_seeds"]]
       rank lead  n_seeds
    0     1   V1        2
    1     2   II        2
    >>> study.leads.attrs["columns"]["n_seeds"]
    'trainings that the scores are means of'
    >>> study.trials.query("stage == 'search'")["state"].value_counts()["complete"]
    6
    """

    def __init__(self, material: ReportMaterial, facts: StudyReport | None = None) -> None:
        """Use `open_study`.

        Args:
            material: Material read from the study.
            facts: Values of its report, if computed already.
        """
        self._material = material
        self._given_facts = facts

    @classmethod
    def of(cls, made: MadeReport) -> Self:
        """Return the study of a report."""
        return cls(made.material, made.facts)

    @property
    def name(self) -> str:
        """Name of the study."""
        return self._material.config.name

    @property
    def path(self) -> str:
        """Path or URI of its folder."""
        return str(self._material.folder.root)

    @property
    def config(self) -> StudyConfig:
        """Resolved configuration of the study."""
        return self._material.config

    @property
    def is_final(self) -> bool:
        """Whether it has complete finals, so that scores are of the test split."""
        return self._material.finals is not None

    @cached_property
    def facts(self) -> StudyReport:
        """Values of its report; computed once, which takes seconds."""
        return describe(self._material) if self._given_facts is None else self._given_facts

    @property
    def answer(self) -> str:
        """Conclusions about the leads that the data support, in sentences."""
        return self.facts.answer.sentence

    @property
    def best_set(self) -> tuple[str, ...]:
        """Leads that cannot be distinguished from the best; empty before finals."""
        return self.facts.best_set

    @property
    def leads(self) -> pd.DataFrame:
        """Leads by rank, with scores of the answer; `leads.csv`."""
        return self.table("leads")

    @property
    def trials(self) -> pd.DataFrame:
        """Every training of the search and of the finals; `trials.csv`."""
        return self.table("trials")

    @property
    def finals(self) -> pd.DataFrame:
        """Contenders of the finals, by lead, and the teacher: `contenders.csv` after finals.

        Raises:
            ConfigError: There are no complete finals.
        """
        if not self.is_final:
            raise ConfigError(
                f"{self.path} has no completed finals, so it has no test results. Run "
                "`mvkt finalize`, or mvkt_ray.finalize, and open the study again; the validation "
                'results are in study.table("contenders").'
            )
        return self.table("contenders")

    @property
    def gains(self) -> pd.DataFrame:
        """Gains of the answer over all other contenders; `gains.csv`, empty before finals."""
        return self.table("gains")

    @property
    def classes(self) -> pd.DataFrame:
        """Scores of every contender by class; `classes.csv`."""
        return self.table("classes")

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the report by the name of its CSV file, such as `lead_pairs`.

        Each call returns a new frame, whose changes do not affect the study.

        Raises:
            ConfigError: There is no such table; the message states the nearest name.
        """
        return frame_of(table_named(name), self.facts, self._material)

    @cached_property
    def optuna(self) -> "optuna.Study":
        """The search as an Optuna study, for `optuna.visualization`.

        It is a copy in memory, read on first use, whose changes do not affect the ledger.
        """
        from mvkt_ray.search.ledger.optuna_copy import copy_to_memory

        with converted_errors(), reading(self._material.folder) as database:
            return copy_to_memory(database, self.name)

    def report(self) -> Report:
        """Write the report into the study's folder: page, JSON and tables.

        Raises:
            ArtifactError: The folder is not writable.
            MachineError: The disk is full, or fails.
        """
        with converted_errors():
            made = write_made_report(self._material, self.facts)
            made.expect_written()
        folder = self._material.folder
        return Report(page=made.page, folder=str(folder.report_folder), facts=made.facts)

    @property
    def material(self) -> ReportMaterial:
        """Material read from the study; for functions of this package."""
        return self._material

    def __repr__(self) -> str:
        state = "after its finals" if self.is_final else "before its finals"
        return f"<Study {self.name} in {self.path}, {len(self._material.records)} trials, {state}>"

    def _repr_html_(self) -> str:
        return notebook_view(self.facts)


@for_python
def open_study(path: str | Path) -> Study:
    """Open a study for reading, while it may be running, here or elsewhere.

    Args:
        path: Folder or URI (`s3://`, `gs://`, `abfss://`) of the study.

    Raises:
        ArtifactError: There is no study, it has no trial yet, or a file is damaged.
        DataError: Files are inconsistent.
        StoreError: The store is unavailable, or denies access.
    """
    folder = StudyFolder(Location.parse(path))
    folder.expect_study()
    return Study(gather_material(folder))
