"""Objectives of a search, size limits of students, and the samplers that support them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mvkt_ray.config.checks import Section, require, require_above_zero

Objective = Literal["macro_auroc", "parameters", "macs", "latency_ms"]
"""Objectives of a search. Trials are trained, pruned and ranked by the score; the others are costs
of running a student, to be minimised."""

SCORE: Objective = "macro_auroc"
"""The one objective of which more is better."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeLimitsConfig(Section):
    """How large the student of a trial may be; no larger one is drawn."""

    parameters: int | None = None
    """Weights of the student; None: no limit."""
    macs: float | None = None
    """Multiply-accumulates of one evaluation window; None likewise."""

    def __post_init__(self) -> None:
        require_above_zero(self, *self.given)

    @property
    def given(self) -> tuple[Literal["parameters", "macs"], ...]:
        """Names of the sizes that are limited."""
        return tuple(name for name in ("parameters", "macs") if getattr(self, name) is not None)


def check_objectives(objectives: Sequence[Objective]) -> None:
    """Refuse objectives by which no trial could be pruned, and no lead ranked.

    Raises:
        ValueError: The score is not the first, or one is there twice.
    """
    given = list(objectives)
    require(
        given[:1] == [SCORE],
        f"objectives must begin with {SCORE}, by which trials are pruned and leads are ranked, "
        f"got {given}",
    )
    twice = sorted({name for name in given if given.count(name) > 1})
    require(not twice, f"objectives must not repeat, got {twice} more than once")


def check_sampler(sampler: str, objectives: Sequence[Objective], n_startup_trials: int) -> None:
    """Refuse a sampler that cannot look for the objectives.

    Optuna's Gaussian process could look for several: on a made-up study it did no better in 40
    trials than random draws, and takes the longest.

    Raises:
        ValueError: It is of one objective and there are several, or the reverse; its population is
            too small.
    """
    given, several = list(objectives), len(objectives) > 1
    require(
        sampler != "gp" or not several,
        f"sampler gp looks for the best of one objective, got {given}. Set sampler to tpe or "
        f"nsga2, or objectives to [{SCORE}]",
    )
    require(
        sampler != "nsga2" or several,
        f"sampler nsga2 sorts trials by several objectives, got {given}: add parameters, macs or "
        "latency_ms to objectives, or set sampler to tpe",
    )
    require(
        sampler != "nsga2" or n_startup_trials >= 2,
        "n_startup_trials is the population of sampler nsga2, which needs 2 or more, got "
        f"{n_startup_trials!r}",
    )


def check_conditions(conditions: str, sampler: str, objectives: Sequence[Objective]) -> None:
    """Refuse a race that would not be fair.

    Raises:
        ValueError: Its conditions get the points of a grid, or are not compared by all objectives.
    """
    balanced = conditions == "balanced"
    require(
        balanced or sampler != "grid",
        "conditions: race and sampler: grid exclude each other: every lead gets every point of "
        "a grid. Set conditions to balanced, or sampler to tpe",
    )
    require(
        balanced or len(objectives) == 1,
        f"conditions: race and objectives {list(objectives)} exclude each other: a race compares "
        "leads by score only, and could stop a lead whose small students are the best. Set "
        f"conditions to balanced, or objectives to [{SCORE}]",
    )


def check_enqueued(entries: Sequence[Mapping[str, object]], sampler: str, conditions: str) -> None:
    """Refuse trials that are asked for where they mean nothing, or would not be fair.

    Raises:
        ValueError: A grid has all points anyway; a race would compare unlike trials.
    """
    require(
        not entries or sampler != "grid",
        "enqueue and sampler: grid exclude each other: a grid tries every point of the space. "
        "Leave enqueue out, or set sampler to tpe",
    )
    require(
        conditions == "balanced" or not any("lead" in entry for entry in entries),
        "enqueue with lead and conditions: race exclude each other: a race compares leads by their "
        "first trials, which must be alike. Leave lead out, or set conditions to balanced",
    )
