"""The folder of a label budget: its plan, and a study's folder for each cell.

Reads: the ledgers of the cells. Writes: `label_budget.json` and `base_study.yaml`, before any cell
begins. After a kill the command resumes from the plan and the cells' ledgers alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import study_from_yaml, write_study
from mvkt_ray.errors import ArtifactError, ConfigError, StaleArtifactError
from mvkt_ray.file_guards import reading as reading_file
from mvkt_ray.records import TrialState
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.label_budget.budget_cells import Budget, BudgetCell, plan_cells
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import has_ledger, reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.same_study import refuse_other_config
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME
from mvkt_ray.storage.sealed import sealed_json, sealed_text, unsealed_json, unsealed_text

SCHEMA_VERSION = 1
_CHANGED = "It was changed since the command wrote it: restore it from a copy."

CellState = Literal["new", "begun", "searched", "examined"]


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetPlan:
    """Definition of a label budget: the cells that it compares."""

    base: StudyConfig
    budgets: tuple[Budget, ...]
    n_draws: int
    data: str | None
    """Location of recordings or shards; None: synthetic recordings."""

    @property
    def cells(self) -> tuple[BudgetCell, ...]:
        """All cells, in the order in which they are run."""
        return plan_cells(self.base, self.budgets, self.n_draws)


@dataclass(frozen=True, slots=True)
class BudgetFolder:
    """Paths of a label budget, in a folder or on an object store."""

    root: Location

    @property
    def plan_file(self) -> Location:
        """The plan, as JSON."""
        return self.root / "label_budget.json"

    @property
    def base_file(self) -> Location:
        """The base study of all cells, as YAML."""
        return self.root / "base_study.yaml"

    @property
    def report_folder(self) -> Location:
        """Folder of the report with the curves."""
        return self.root / "report"

    def cell(self, cell: BudgetCell) -> StudyFolder:
        """Return the folder of a cell's study."""
        return StudyFolder(self.root / cell.name)

    def shards(self, plan: BudgetPlan) -> Location | None:
        """Return the shards of all cells: the given ones, else those of the first cell."""
        given = None if plan.data is None else Location.parse(plan.data)
        if given is not None and (given / MANIFEST_NAME).exists():
            return given
        own = self.cell(plan.cells[0]).shards
        return own if (own / MANIFEST_NAME).exists() else given

    def check(self, plan: BudgetPlan, *, resume: bool) -> None:
        """Raise unless a plan may begin here, or continue the existing one.

        Raises:
            ArtifactError: The folder has other files, or a label budget and `resume` is false.
            StaleArtifactError: The existing label budget is of another study.
        """
        if self.plan_file.exists():
            if not resume:
                raise ArtifactError(
                    f"{self.root} is in use: it holds a label budget. Continue it by --resume, or "
                    "give another --out."
                )
            self._expect_same_base(plan.base)
        elif self.root.is_file():
            raise ArtifactError(f"{self.root} is a file. Give a new or empty folder as --out.")
        elif others := [name for name in self.root.names() if name != self.base_file.name]:
            raise ArtifactError(
                f"{self.root} is in use: it holds {', '.join(others[:3])} but no label budget. "
                "Give a new or empty folder as --out."
            )

    def begin(self, plan: BudgetPlan, *, resume: bool) -> None:
        """Write the plan; an existing one may be extended.

        Raises:
            ArtifactError: As `check`.
            StaleArtifactError: Likewise.
        """
        self.check(plan, resume=resume)
        self.base_file.write_bytes(sealed_text(write_study(plan.base)))
        value = {
            "schema_version": SCHEMA_VERSION,
            "study": [plan.base.name, plan.base.seed],
            "budgets": list(plan.budgets),
            "n_draws": plan.n_draws,
            "data": plan.data,
        }
        self.plan_file.write_bytes(sealed_json(value))

    def _expect_same_base(self, base: StudyConfig) -> None:
        before = self.read_plan().base
        refuse_other_config(base, before)
        if base.finals != before.finals:
            raise StaleArtifactError(
                f"the label budget in {self.root} was started with other finals, and its cells "
                "must be comparable. Give the finals that it was started with, or another --out."
            )

    def read_plan(self) -> BudgetPlan:
        """Return the plan.

        Raises:
            ArtifactError: There is no plan, or it was changed.
        """
        if not self.plan_file.exists():
            raise ArtifactError(
                f"{self.root} holds no label budget: there is no {self.plan_file.name}. Give the "
                "folder that `mvkt label-budget --out` wrote."
            )
        with reading_file(self.plan_file, _CHANGED, ArtifactError):
            value = unsealed_json(self.plan_file.read_bytes())
            if value["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"it has schema version {value['schema_version']}")
            budgets, n_draws = tuple(map(float, value["budgets"])), int(value["n_draws"])
            data, study = value["data"], value["study"]
        with reading_file(self.base_file, _CHANGED, ConfigError):
            text = unsealed_text(self.base_file.read_bytes())
            base = study_from_yaml(text, str(self.base_file))
        if study != [base.name, base.seed]:
            raise ArtifactError(
                f"{self.plan_file} does not belong to the study in {self.base_file.name}: one of "
                f"the two is from another label budget. {_CHANGED}"
            )
        return BudgetPlan(base=base, budgets=budgets, n_draws=n_draws, data=data)

    def states(self, cells: Sequence[BudgetCell], base: StudyConfig) -> list[CellState]:
        """Return the state of each cell, by its ledger."""
        return [state_of_cell(self.cell(cell), cell.study(base).name) for cell in cells]


def state_of_cell(folder: StudyFolder, name: str) -> CellState:
    """Return the state of a cell's study.

    Args:
        folder: Folder of the study.
        name: Name of the study.

    Raises:
        ArtifactError: The ledger is damaged.
    """
    if not folder.study_file.exists():
        return "new"
    if not has_ledger(folder):
        return "begun"
    n_trials = folder.read_config().search.n_trials
    with reading(folder) as database, FinalsLedger.open_all(database, name) as finals:
        if any(each.opening is not None and each.opening.completed_at for each in finals):
            return "examined"
        ledger = Ledger.find(database, name)
        if ledger is None:
            return "begun"
        try:
            is_over = "config" in ledger.notes and len(ledger.records) >= n_trials
            is_running = any(each.state is TrialState.RUNNING for each in ledger.records)
        finally:
            ledger.close()
    return "searched" if is_over and not is_running else "begun"
