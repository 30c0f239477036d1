"""Cells of a label budget: distinct draws, the same whatever else is asked for; what is refused."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ContenderConfig, FinalsConfig, ParameterConfig
from mvkt_ray.config.study_file import read_study, study_from_yaml, write_study
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.label_budget.budget_cells import (
    BudgetCell,
    parse_budgets,
    plan_cells,
    usual_budgets,
)


def study(n_folds: int = 7, seed: int = 0, **changes: Any) -> StudyConfig:
    base = StudyConfig(name="base", seed=seed)
    folds = replace(
        base.data.folds, train=tuple(range(1, n_folds + 1)), val=(n_folds + 1,), test=(n_folds + 2,)
    )
    return replace(base, data=replace(base.data, folds=folds), **changes)


def drawn(cells: tuple[BudgetCell, ...], budget: float) -> list[tuple[int, ...]]:
    return [cell.labelled.folds for cell in cells if cell.budget == budget]


@given(
    n_folds=st.integers(2, 8),
    n_draws=st.integers(1, 5),
    seed=st.integers(0, 5),
    data=st.data(),
)
def test_draws_are_distinct_sets_of_training_folds_and_as_many_as_there_are(
    n_folds: int, n_draws: int, seed: int, data: st.DataObject
) -> None:
    base = study(n_folds, seed)
    budgets = data.draw(st.lists(st.integers(1, n_folds), min_size=1, unique=True))
    cells = plan_cells(base, budgets, n_draws)
    for budget in budgets:
        folds = drawn(cells, budget)
        assert len(set(folds)) == len(folds) == min(n_draws, math.comb(n_folds, budget))
        assert all(len(each) == budget for each in folds)
        assert all(set(each) <= set(base.data.folds.train) for each in folds)
        # As far as that is possible no fold is in two draws.
        n_apart = min(len(folds), n_folds // budget)
        assert len({fold for each in folds[:n_apart] for fold in each}) == n_apart * budget
    assert len({cell.name for cell in cells}) == len(cells)


@given(more=st.lists(st.integers(1, 7), max_size=3), n_draws=st.integers(1, 4))
def test_a_budget_that_is_widened_keeps_its_cells(more: list[int], n_draws: int) -> None:
    base = study()
    before = {cell.name: cell for cell in plan_cells(base, (1, 2, 0.25), 2)}
    after = {cell.name: cell for cell in plan_cells(base, (1, 2, 0.25, *more), 2 + n_draws)}
    assert {name: after[name] for name in before} == before


def test_other_seeds_draw_other_folds_and_every_first_draw_comes_first() -> None:
    cells = plan_cells(study(), (1, 2, 7), 3)
    assert [(cell.budget, cell.draw) for cell in cells] == [
        (7, 1), (2, 1), (1, 1), (2, 2), (1, 2), (2, 3), (1, 3),
    ]  # fmt: skip
    others = [plan_cells(study(seed=seed), (2,), 3) for seed in range(1, 5)]
    assert any(drawn(each, 2) != drawn(cells, 2) for each in others)


def test_cells_are_the_study_with_other_labels_and_a_name_of_their_own() -> None:
    base = study()
    for cell in plan_cells(base, (0.05, 1, 7), 2):
        own = cell.study(base)
        assert own.data.labelled == cell.labelled
        assert own.data.label_use.distils_unlabelled
        assert replace(own, name=base.name, data=base.data) == base
        assert study_from_yaml(write_study(own), cell.name) == own
    shares = [cell.labelled for cell in plan_cells(study(seed=4), (0.05,), 2)]
    assert [(each.fraction, each.seed) for each in shares] == [(0.05, 4), (0.05, 5)]


@pytest.mark.parametrize(
    ("n_folds", "budgets"), [(7, (1, 2, 4, 7)), (8, (1, 2, 4, 8)), (1, (1,)), (3, (1, 2, 3))]
)
def test_the_usual_budgets_double_up_to_all_folds(n_folds: int, budgets: tuple[int, ...]) -> None:
    assert usual_budgets(study(n_folds)) == budgets


@pytest.mark.parametrize(
    ("budgets", "n_draws", "said"),
    [
        ((8,), 1, "8 is neither a number of the study's 7 training folds"),
        ((0,), 1, "0 is neither"),
        ((1.5,), 1, "1.5 is neither"),
        ((-1,), 1, "-1 is neither"),
        ((math.nan,), 1, "nan is neither"),
        ((math.inf,), 1, "inf is neither"),
        ((1,), 0, "--draws must be at least 1, got 0"),
        ((), 1, "--budgets is empty"),
    ],
)
def test_budgets_without_a_meaning_are_refused(
    budgets: tuple[float, ...], n_draws: int, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_cells(study(), budgets, n_draws)


def test_budgets_are_read_as_numbers_with_commas() -> None:
    assert parse_budgets("1, 2,0.25") == (1, 2, 0.25)
    with pytest.raises(ConfigError, match="write numbers of labelled training folds"):
        parse_budgets("1;2")


def test_a_study_that_declares_its_labels_itself_is_refused() -> None:
    base = study()
    labelled = plan_cells(base, (1,), 1)[0].study(base)
    with pytest.raises(ConfigError, match=r"sets data\.labelled"):
        plan_cells(labelled, (1,), 1)


@pytest.mark.parametrize(
    ("space", "contender", "is_right"),
    [
        ({"kd_weight": (0.0, 4.0)}, ContenderConfig(where={"kd_weight": 0.0}), False),
        ({"kd_weight": (0.0, 4.0)}, ContenderConfig(set={"clt_weight": 0.0}), False),
        (
            {"kd_weight": (0.0, 4.0)},
            ContenderConfig(where={"kd_weight": 0.0}, set={"clt_weight": 0.0}),
            True,
        ),
        ({}, ContenderConfig(set={"kd_weight": 0.0, "clt_weight": 0.0}), True),
    ],
)
def test_without_a_contender_that_learns_from_labels_alone_there_is_nothing_to_draw(
    space: dict[str, tuple[float, ...]], contender: ContenderConfig, is_right: bool
) -> None:
    rows = {name: ParameterConfig(choices=choices) for name, choices in space.items()}
    finals = FinalsConfig(baselines=("plain_kd",), contenders={"mine": contender})
    base = study(space=rows, finals=finals)
    if is_right:
        assert plan_cells(base, (1,), 1)
    else:
        with pytest.raises(ConfigError, match="learns from labels alone"):
            plan_cells(base, (1,), 1)


def test_the_study_of_the_project_has_both_curves() -> None:
    base = read_study("search_spaces/label_budget.yaml")
    assert len(plan_cells(base, usual_budgets(base), 3)) == 3 * 3 + 1
