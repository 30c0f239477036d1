"""The cells of a label budget: the labels of each, drawn by the study's seed.

A cell is a separate study, equal to the others except for its labels. All cells have the same
recordings: students distil over all of them.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from mvkt_ray.config.data_config import LabelledConfig
from mvkt_ray.config.recipes import TEACHING_WEIGHTS, Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import number_ranges

Budget = float
"""A whole number of training folds, or a share of the patients below 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BudgetCell:
    """One draw of the labels of one budget."""

    budget: Budget
    draw: int
    """Number of the draw, from 1; there is one draw of all labels."""
    labelled: LabelledConfig

    @property
    def name(self) -> str:
        """Name of the cell's folder, and suffix of the study's name."""
        if self.labelled.fraction is not None:
            return f"share{self.budget:g}_draw{self.draw}".replace(".", "_")
        return f"folds{self.budget:g}_draw{self.draw}"

    def describe(self) -> str:
        """Return a description of the labels."""
        if self.labelled.fraction is not None:
            return f"share {self.labelled.fraction:g}, seed {self.labelled.seed}"
        plural = "" if len(self.labelled.folds) == 1 else "s"
        return f"fold{plural} {number_ranges(self.labelled.folds)}"

    def study(self, base: StudyConfig) -> StudyConfig:
        """Return the study of the cell.

        Raises:
            ConfigError: The base's settings for unlabelled recordings contradict the cell's.
        """
        data = replace(base.data, labelled=self.labelled)
        return replace(base, name=f"{base.name}_{self.name}", data=data)


def plan_cells(
    base: StudyConfig, budgets: Sequence[Budget], n_draws: int
) -> tuple[BudgetCell, ...]:
    """Return all cells, the first draws of all budgets before any second draw.

    The draws of a budget do not depend on other budgets or on the number of draws, so that a label
    budget can be extended. Draws share as few folds as possible, so that their spread estimates the
    effect of other labels.

    Args:
        base: The study, without `data.labelled`.
        budgets: The budgets, in any order.
        n_draws: Draws of each budget; fewer if a budget has fewer sets of folds.

    Raises:
        ConfigError: A budget has no meaning for the study, or there is nothing to compare.
    """
    _check_base(base)
    if n_draws < 1:
        raise ConfigError(f"--draws must be at least 1, got {n_draws}.")
    ordered = sorted(set(map(float, budgets)), key=lambda budget: _share(base, budget))
    if not ordered:
        raise ConfigError("--budgets is empty: give numbers of training folds, such as 1,2,4.")
    draws = [_draws(base, budget, n_draws) for budget in ordered]
    return tuple(
        cells[draw] for draw in range(n_draws) for cells in reversed(draws) if draw < len(cells)
    )


def usual_budgets(base: StudyConfig) -> tuple[Budget, ...]:
    """Return 1, 2, 4 and so on training folds, and last all of them."""
    n_folds = len(base.data.folds.train)
    doubled = [2.0**power for power in range(n_folds.bit_length())]
    return (*(size for size in doubled if size < n_folds), float(n_folds))


def parse_budgets(text: str) -> tuple[Budget, ...]:
    """Parse `1,2,4,7` or `0.05,0.25,8`.

    Raises:
        ConfigError: A part is not a number.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"--budgets {text!r}: write numbers of labelled training folds, or shares below 1, "
            "separated by commas: 1,2,4,7 or 0.1,0.5."
        ) from None


def _check_base(base: StudyConfig) -> None:
    if base.data.labelled is not None:
        raise ConfigError(
            "the study file sets data.labelled, which a label budget varies. Leave it out of the "
            "study file."
        )
    if not base.search.n_trials and not base.finals.contenders:
        raise ConfigError(
            "the study has neither a search nor contenders in its finals, so there is nothing to "
            "compare. Set search.n_trials, or finals.contenders."
        )
    if not _has_untaught(base):
        raise ConfigError(
            "the finals of the study have no contender that learns from labels alone, so the "
            "distilled curve has no reference. Add a contender whose kd_weight and clt_weight "
            "are 0, by `where` or `set`, or student_alone to finals.baselines."
        )


def _has_untaught(base: StudyConfig) -> bool:
    if "student_alone" in base.finals.baselines:
        return True
    usual = asdict(Hyperparameters())
    fixed = {name: row.value for name, row in base.space.items()}
    for contender in base.finals.contenders.values():
        # A drawn parameter has no value here, and so never counts as 0.
        given = {**usual, **fixed, **contender.where, **contender.set}
        if all(given[name] == 0 for name in TEACHING_WEIGHTS):
            return True
    return False


def _share(base: StudyConfig, budget: Budget) -> float:
    """Return a budget as a share of the training folds, in (0, 1]."""
    n_folds = len(base.data.folds.train)
    if 0 < budget < 1:
        return budget
    if not budget.is_integer() or not 1 <= budget <= n_folds:
        raise ConfigError(
            f"--budgets: {budget:g} is neither a number of the study's {n_folds} training folds "
            "nor a share of their patients above 0 and below 1."
        )
    return budget / n_folds


def _draws(base: StudyConfig, budget: Budget, n_draws: int) -> list[BudgetCell]:
    if budget < 1:
        return [
            BudgetCell(
                budget=budget,
                draw=draw,
                labelled=LabelledConfig(fraction=budget, seed=base.seed + draw - 1),
            )
            for draw in range(1, n_draws + 1)
        ]
    folds = tuple(sorted(base.data.folds.train))
    size = int(budget)
    n_there = min(n_draws, math.comb(len(folds), size))
    drawn = _distinct(folds, size, [base.seed, size])
    return [
        BudgetCell(budget=budget, draw=draw, labelled=LabelledConfig(folds=next(drawn)))
        for draw in range(1, n_there + 1)
    ]


def _distinct(folds: Sequence[int], size: int, seed: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield distinct sets of folds: disjoint ones of a random order, then of another, and so on."""
    rng = np.random.default_rng(seed)
    seen: set[tuple[int, ...]] = set()
    while len(seen) < math.comb(len(folds), size):
        order = rng.permutation(folds).tolist()
        for first in range(0, len(folds) - size + 1, size):
            drawn = tuple(sorted(order[first : first + size]))
            if drawn not in seen:
                seen.add(drawn)
                yield drawn
