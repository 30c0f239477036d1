"""The results of a label budget's examined cells.

Reads: the folder of a label budget, and the ledger and predictions of every examined cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mvkt_ray.delivery.facts.gaps.teacher_gap import baseline_of
from mvkt_ray.errors import DataError
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_results import FinalsResults, read_finals
from mvkt_ray.search.label_budget.budget_cells import Budget, BudgetCell
from mvkt_ray.search.label_budget.budget_folder import BudgetFolder, BudgetPlan, CellState
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.training.teacher import KIND as TEACHER


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ExaminedCell:
    """A cell with examined finals."""

    cell: BudgetCell
    n_labelled: int
    """Training recordings of its teacher."""
    finals: FinalsResults


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CurveMaterial:
    """A label budget at one moment."""

    plan: BudgetPlan
    states: tuple[tuple[BudgetCell, CellState], ...]
    """Every cell with its state, in the order of execution."""
    examined: tuple[ExaminedCell, ...]

    @property
    def by_budget(self) -> dict[Budget, list[ExaminedCell]]:
        """The examined cells by budget, the fewest labels first."""
        found: dict[Budget, list[ExaminedCell]] = {}
        for each in self.examined:
            found.setdefault(each.cell.budget, []).append(each)
        return dict(sorted(found.items(), key=lambda item: n_labelled(item[1])))


def n_labelled(cells: Sequence[ExaminedCell]) -> float:
    """Return the mean number of labelled recordings over draws."""
    return float(np.mean([each.n_labelled for each in cells]))


def gather_curve(folder: BudgetFolder) -> CurveMaterial:
    """Read a label budget for its report; another process may be running it.

    Raises:
        ArtifactError: There is no label budget, or a file is damaged.
        DataError: No cell is examined yet, or the test recordings of cells differ.
    """
    plan = folder.read_plan()
    cells = plan.cells
    states = tuple(zip(cells, folder.states(cells, plan.base), strict=True))
    examined = tuple(
        _read(cell, folder.cell(cell), cell.study(plan.base).name)
        for cell, state in states
        if state == "examined"
    )
    if not examined:
        raise DataError(
            f"no cell of the label budget in {folder.root} has been examined yet, so there is no "
            "curve to draw. Resume it by `mvkt label-budget --resume --out` and this folder."
        )
    for each in examined[1:]:
        _expect_same_test(examined[0], each)
    return CurveMaterial(plan=plan, states=states, examined=examined)


def _read(cell: BudgetCell, folder: StudyFolder, name: str) -> ExaminedCell:
    with reading(folder) as database, FinalsLedger.open_all(database, name) as ledgers:
        finals = read_finals(folder, ledgers)
    teacher = folder.read_inputs()["teacher"]
    assert finals is not None
    assert teacher is not None
    if baseline_of(finals) is None:
        raise DataError(
            f"the finals in {folder.root} compare no distilled answer (the answer is "
            f"{finals.answer!r}) with a contender that learns from labels alone, as the two curves "
            "need. Finalize the cells again with other finals, or start another label budget."
        )
    return ExaminedCell(
        cell=cell,
        n_labelled=int(read_manifest(teacher, TEACHER).counts["n_train"]),
        finals=finals,
    )


def _expect_same_test(first: ExaminedCell, other: ExaminedCell) -> None:
    one, two = first.finals.test, other.finals.test
    if np.array_equal(one.record_ids_N, two.record_ids_N) and np.array_equal(
        one.labels_NC, two.labels_NC
    ):
        return
    raise DataError(
        f"{first.cell.name} was examined on {len(one.record_ids_N)} recordings, and "
        f"{other.cell.name} on {len(two.record_ids_N)} with other ids or labels: one of the cells "
        "was changed or made with other shards. Remove its folder and go on by --resume."
    )
