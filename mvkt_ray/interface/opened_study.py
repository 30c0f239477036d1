"""A study to look at from Python: its tables, its answer, its trials as Optuna has them.

Reads: the study's folder, without its lock. Writes: only `report()` does, the report.
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
from mvkt_ray.interface.python_errors import for_python, told_to_python
from mvkt_ray.interface.study_tables import frame_of, table_named
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

if TYPE_CHECKING:
    import optuna


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The files of a report that was written."""

    page: str
    """The HTML page: a path or a URI."""
    folder: str
    """Where page, `report.json` and the CSV tables are."""
    facts: StudyReport
    """All that it says; `report.json` has the same keys."""


class Study:
    """A study as it was when it was opened; open it again to see what has happened since.

    In a notebook it shows its answer, the ranked leads and their forest plot. Tables are those of
    the report's CSV files: `attrs["columns"]` of each says what its columns mean.

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
            material: The study, read.
            facts: What its report says, where that is known already.
        """
        self._material = material
        self._given_facts = facts

    @classmethod
    def of(cls, made: MadeReport) -> Self:
        """Return the study of a report that was just made."""
        return cls(made.material, made.facts)

    @property
    def name(self) -> str:
        """Its name."""
        return self._material.config.name

    @property
    def path(self) -> str:
        """Its folder, or the URI of it."""
        return str(self._material.folder.root)

    @property
    def config(self) -> StudyConfig:
        """Resolved configuration of the study."""
        return self._material.config

    @property
    def is_final(self) -> bool:
        """Whether its finals are completed, so that scores are of the test split."""
        return self._material.finals is not None

    @cached_property
    def facts(self) -> StudyReport:
        """All that its report says; computed once, which takes seconds."""
        return describe(self._material) if self._given_facts is None else self._given_facts

    @property
    def answer(self) -> str:
        """Conclusions about the leads that the data support, in sentences."""
        return self.facts.answer.sentence

    @property
    def best_set(self) -> tuple[str, ...]:
        """Leads that cannot be told from the best, all statements together; empty before finals."""
        return self.facts.best_set

    @property
    def leads(self) -> pd.DataFrame:
        """Leads in their order, by the contender that is the answer; `leads.csv`."""
        return self.table("leads")

    @property
    def trials(self) -> pd.DataFrame:
        """Every training of the search and of the finals; `trials.csv`."""
        return self.table("trials")

    @property
    def finals(self) -> pd.DataFrame:
        """Contenders of the finals, by lead, and the teacher: `contenders.csv` after finals.

        Raises:
            ConfigError: No finals are completed yet.
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
        """The answer against all other contenders of its lead; `gains.csv`, empty before finals."""
        return self.table("gains")

    @property
    def classes(self) -> pd.DataFrame:
        """Every contender by class; `classes.csv`."""
        return self.table("classes")

    def table(self, name: str) -> pd.DataFrame:
        """Return any table of the report by the name of its CSV file, such as `lead_pairs`.

        The frame is a new one each time: what is done to it changes nothing here.

        Raises:
            ConfigError: There is no such table; names the nearest.
        """
        return frame_of(table_named(name), self.facts, self._material)

    @cached_property
    def optuna(self) -> "optuna.Study":
        """The search as Optuna sees it: a copy in memory, to hand to `optuna.visualization`.

        It is read when it is first asked for. What is done to it stays in it.
        """
        from mvkt_ray.search.ledger.optuna_copy import copy_to_memory

        with told_to_python(), reading(self._material.folder) as database:
            return copy_to_memory(database, self.name)

    def report(self) -> Report:
        """Write the report into the study's folder: page, JSON and tables.

        Raises:
            ArtifactError: The folder cannot be written to.
            MachineError: The disk is full, or fails.
        """
        with told_to_python():
            made = write_made_report(self._material, self.facts)
            made.expect_written()
        folder = self._material.folder
        return Report(page=made.page, folder=str(folder.report_folder), facts=made.facts)

    @property
    def material(self) -> ReportMaterial:
        """Data read from the study; for functions of this package."""
        return self._material

    def __repr__(self) -> str:
        state = "after its finals" if self.is_final else "before its finals"
        return f"<Study {self.name} in {self.path}, {len(self._material.records)} trials, {state}>"

    def _repr_html_(self) -> str:
        return notebook_view(self.facts)


@for_python
def open_study(path: str | Path) -> Study:
    """Open a study to look at it; it may be running meanwhile, here or elsewhere.

    Args:
        path: Its folder, or the URI of it (`s3://`, `gs://`, `abfss://`).

    Raises:
        ArtifactError: There is no study, it has not come to its first trial, or a file is damaged.
        DataError: Files do not fit together.
        StoreError: The store refuses.
    """
    folder = StudyFolder(Location.parse(path))
    folder.expect_study()
    return Study(gather_material(folder))
