"""A label budget in memory: cells whose contenders have known skills on the same recordings."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mvkt_ray.config.data_config import DataConfig, FoldsConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import FinalsConfig
from mvkt_ray.delivery.label_curve.curve_material import CurveMaterial, ExaminedCell
from mvkt_ray.search.label_budget.budget_cells import BudgetCell
from mvkt_ray.search.label_budget.budget_folder import BudgetPlan, CellState

if TYPE_CHECKING:
    from conftest import MakeFinals

SKILL = {1: (0.2, 0.6), 2: (0.45, 0.8), 4: (0.9, 1.0)}
"""Of alone and distilled, by training folds with labels."""
PER_FOLD = 100


def base_study(**changes: object) -> StudyConfig:
    folds = FoldsConfig(train=(1, 2, 3, 4), val=(5,), test=(6,))
    fields: dict[str, object] = {"name": "made-up", "finals": FinalsConfig(n_seeds=3), **changes}
    return StudyConfig(data=DataConfig(folds=folds), **fields)  # type: ignore[arg-type]


def make_up_curve(
    make_finals: "MakeFinals",
    *,
    skill: Mapping[int, tuple[float, float]] = SKILL,
    leads: tuple[str, ...] = ("II", "V5"),
    missing: tuple[str, ...] = (),
    seed_noise: float = 0.3,
) -> CurveMaterial:
    """Make all cells but the missing ones; V5 is better than II by a little."""
    plan = BudgetPlan(base=base_study(), budgets=tuple(map(float, skill)), n_draws=3, data="/data")
    examined: list[ExaminedCell] = []
    for cell in plan.cells:
        if cell.name in missing:
            continue
        alone, distilled = skill[int(cell.budget)]
        aside = 0.03 * (cell.draw - 1)
        skills = {
            (name, lead): strength + aside + 0.1 * position
            for position, lead in enumerate(leads)
            for name, strength in (("student_alone", alone), ("chosen", distilled))
        }
        finals = make_finals(skills, teacher=distilled + 0.5, seed_noise=seed_noise)
        examined.append(
            ExaminedCell(cell=cell, n_labelled=PER_FOLD * int(cell.budget), finals=finals)
        )
    states: list[tuple[BudgetCell, CellState]] = [
        (cell, "begun" if cell.name in missing else "examined") for cell in plan.cells
    ]
    return CurveMaterial(plan=plan, states=tuple(states), examined=tuple(examined))
