"""Search spaces: the drawn hyper-parameters, their distributions and conditions.

A space is checked when it is made, before anything starts: every bound and every choice must make
valid `Hyperparameters`. Leads are not in the space; they are the conditions that a study compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import optuna

from mvkt_ray.config.recipes import MORE_TEACHING_WEIGHTS, PLUGIN_WEIGHT, Hyperparameters, taught_by
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, Condition
from mvkt_ray.search.choosing.conditions import read_conditions, read_contender_leads
from mvkt_ray.search.choosing.dependent import in_drawing_order, read_when
from mvkt_ray.search.choosing.grid import Grid, few_values, grid_values, n_points_text, points
from mvkt_ray.search.choosing.parameters import (
    Distribution,
    check_hyperparameters,
    contains,
    default_or_middle,
    read_distribution,
    read_value,
    require_name,
    shown,
    suggest,
)
from mvkt_ray.search.choosing.size_limits import SIZING, SizeLimits
from mvkt_ray.search.choosing.student_sizes import check_sizes_of_space, without_unused_sizes
from mvkt_ray.search.choosing.warm_starts.enqueued import Enqueued, read_enqueued

Params = Mapping[str, Scalar]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """The parameters that a study draws, its conditions, and its baselines."""

    conditions: tuple[Condition, ...]
    distributions: Mapping[str, Distribution]
    """Drawn parameters, each after those that its `when` names."""
    when: Mapping[str, Mapping[str, tuple[Scalar, ...]]]
    """By dependent parameter: the values of others at which it is drawn."""
    defaults: Params
    """Every hyper-parameter: the defaults, overridden by the space's fixed values."""
    plain_kd: Params
    """Hyper-parameters that the plain distillation baseline sets."""
    leads: tuple[str, ...]
    """Leads of the dataset that the space was checked against."""
    limits: SizeLimits | None = None
    """Limits of a student's size; None: no limits."""
    fitting: tuple[Params, ...] = ()
    """With limits: the size-determining values of students within them, the smallest first."""
    grid: tuple[Params, ...] | None = None
    """With the sampler `grid`: all points, in the order of the file. None: a sampler draws."""
    n_beyond_limits: int = 0
    """Points of the grid that were left out for their size."""
    enqueued: tuple[Enqueued, ...] = ()
    """The first search trials, in order."""

    @classmethod
    def from_config(
        cls, config: StudyConfig, leads: Sequence[str], n_classes: int | None = None
    ) -> "SearchSpace":
        """Read and check the space, the conditions and the baselines of a study.

        Args:
            config: The study.
            leads: Canonical names of the leads that the dataset has.
            n_classes: Of the task; needed to draw within limits. None: where there are any, the
                space is only read.

        Raises:
            ConfigError: Names the key, the value, what would be right, and the nearest name.
        """
        for name in config.space:
            require_name("space", name)
        fixed = {
            name: read_value(name, row.value, f"space.{name}")
            for name, row in config.space.items()
            if row.value is not None
        }
        defaults: dict[str, Scalar] = {**asdict(Hyperparameters()), **fixed}
        check_hyperparameters(defaults, f"space: the fixed values {shown(fixed)}")
        distributions = {
            name: read_distribution(name, row, defaults)
            for name, row in config.space.items()
            if row.value is None
        }
        check_sizes_of_space(config)
        when = {name: row.when for name, row in config.space.items() if row.when}
        space = cls(
            conditions=read_conditions(config.search.leads, leads),
            distributions=in_drawing_order(distributions, when),
            when=read_when(distributions, when, defaults),
            defaults=defaults,
            plain_kd=_read_plain_kd(config.plain_kd),
            leads=tuple(leads),
        )
        if config.search.limits.given:
            space = space._limited(config, n_classes)
        for arm in config.search.baselines:
            _check_baseline(space, Arm(arm))
        for name, contender in config.finals.contenders.items():
            # Finals are planned after the search; what can never be trained is refused before it.
            where = f"finals.contenders.{name}.leads"
            read_contender_leads(contender.leads, space.conditions, leads, where)
        space = replace(space, enqueued=read_enqueued(config.search.enqueue, space))
        _check_n_trials(config, space)
        if config.search.sampler == "grid" and (space.limits is None or n_classes is not None):
            space = space._listed(config)
        return space

    @property
    def has_dependent_parameters(self) -> bool:
        """Whether some parameters are drawn only sometimes."""
        return bool(self.when)

    def fits(self, hyperparameters: Params) -> bool:
        """Whether a student keeps the limits of the study, if it has any."""
        return self.limits is None or self.limits.keeps(hyperparameters)

    def draw(self, trial: optuna.Trial, given: Params | None = None) -> dict[str, Scalar]:
        """Draw every parameter from a trial of Optuna, dependent ones only where they apply.

        Args:
            trial: Of Optuna.
            given: Fixed values, which replace the draws of their parameters.
        """
        known, drawn = given or {}, dict[str, Scalar]()
        for name, distribution in self.distributions.items():
            if self.is_drawn(name, drawn):
                drawn[name] = known[name] if name in known else suggest(trial, name, distribution)
        return drawn

    def complete(self, drawn: Params) -> dict[str, Scalar]:
        """Return all hyper-parameters of a trial: drawn, fixed and default ones of its student."""
        return without_unused_sizes({**self.defaults, **drawn})

    def baseline(self, arm: Arm) -> dict[str, Scalar]:
        """Return all hyper-parameters of a baseline; the same for every condition.

        A drawn parameter takes its default where the space contains it, else the middle of its
        range (geometric on a log scale) or its first choice. Then the arm sets its own: the student
        alone switches every distillation loss off. A student beyond the limits is replaced by the
        largest one within them, so that distillation is not compared with a weak baseline.
        """
        values = self._baseline(arm, {})
        if not self.fitting or self.fits(values):
            return values
        return self._baseline(arm, self.fitting[-1])

    def _baseline(self, arm: Arm, given: Params) -> dict[str, Scalar]:
        middle: dict[str, Scalar] = {}
        for name, distribution in self.distributions.items():
            if self.is_drawn(name, middle):
                default = self.defaults[name]
                middle[name] = given.get(name, default_or_middle(distribution, default))
        own = taught_by(None) if arm is Arm.STUDENT_ALONE else self.plain_kd
        return without_unused_sizes({**self.defaults, **middle, **own}, own, "plain_kd")

    def part_in_space(self, hyperparameters: Params) -> dict[str, Scalar]:
        """Return the values that the space could have drawn, for the columns of a ledger."""
        return {
            name: hyperparameters[name]
            for name, distribution in self.distributions.items()
            if name in hyperparameters and contains(distribution, hyperparameters[name])
        }

    def is_drawn(self, name: str, drawn: Params) -> bool:
        """Whether a parameter is drawn, given the values of earlier ones that its `when` names."""
        return all(
            {**self.defaults, **drawn}[other] in values
            for other, values in self.when.get(name, {}).items()
        )

    def deciding(self, names: Sequence[str]) -> list[str]:
        """Return the drawn parameters of `names`, and all that decide whether these are drawn."""
        deciding = set(names)
        # In reverse order, since a parameter follows those that decide about it.
        for name in reversed(list(self.distributions)):
            if name in deciding:
                deciding.update(self.when.get(name, {}))
        return [name for name in self.distributions if name in deciding]

    def _limited(self, config: StudyConfig, n_classes: int | None) -> "SearchSpace":
        """Add the limits of a study and the students within them; refuse if there are none."""
        limits = SizeLimits(
            limits=config.search.limits,
            n_leads=max(len(condition.leads) for condition in self.conditions),
            n_classes=n_classes,
            n_samples=config.crop_samples,
        )
        if n_classes is None:
            return replace(self, limits=limits)
        named = [value for when in self.when.values() for each in when.values() for value in each]
        values = {
            name: few_values(self.distributions[name], named) for name in self.deciding(SIZING)
        }
        students = [self.complete(drawn) for drawn in points(values, self.is_drawn)]
        fitting = [
            {name: value for name, value in student.items() if name in values}
            for student in limits.within(students)
        ]
        return replace(self, limits=limits, fitting=tuple(fitting))

    def _listed(self, config: StudyConfig) -> "SearchSpace":
        """Add the points of a grid, after checking that the trials suffice for all of them."""
        values = {name: grid_values(name, each) for name, each in self.distributions.items()}
        conditioning = {other for when in self.when.values() for other in when}
        grid = Grid(
            values=values,
            is_drawn=self.is_drawn,
            deciding=self.deciding([*conditioning, *(SIZING if self.limits else ())]),
            is_within=lambda drawn: self.fits(self.complete(drawn)),
        )
        n_points, n_beyond = grid.count()
        _check_n_points(config, self, n_points)
        return replace(self, grid=tuple(grid.list_points()), n_beyond_limits=n_beyond)


def n_baselines(config: StudyConfig, space: SearchSpace) -> int:
    """Return the number of baseline trials: each baseline once per condition."""
    return len(config.search.baselines) * len(space.conditions)


def n_trials(config: StudyConfig, space: SearchSpace) -> int:
    """Return the number of a study's trials: as configured, but not more than its grid has."""
    if space.grid is None:
        return config.search.n_trials
    whole = n_baselines(config, space) + len(space.grid) * len(space.conditions)
    return min(config.search.n_trials, whole)


def _read_plain_kd(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    for name in values:
        require_name("plain_kd", name)
    read = {name: read_value(name, value, f"plain_kd.{name}") for name, value in values.items()}
    return {**dict.fromkeys([*MORE_TEACHING_WEIGHTS, PLUGIN_WEIGHT], 0.0), **read}


def _check_n_trials(config: StudyConfig, space: SearchSpace) -> None:
    n_needed = n_baselines(config, space)
    n_enqueued = len(space.enqueued)
    if n_needed <= config.search.n_trials < n_needed + n_enqueued:
        raise ConfigError(
            f"search.n_trials is {config.search.n_trials}, but {n_enqueued} trials of "
            f"search.enqueue and {n_needed} baselines are {n_needed + n_enqueued}: an entry "
            "without `lead` counts for every condition. Set n_trials to at least this number, or "
            "enqueue fewer."
        )
    if config.search.n_trials < n_needed:
        raise ConfigError(
            f"search.n_trials is {config.search.n_trials}, but the baselines alone are {n_needed} "
            f"trials: {len(config.search.baselines)} for each of {len(space.conditions)} "
            f"conditions. Set it to {n_needed} or more, or name fewer search.leads or "
            "search.baselines."
        )


def _check_baseline(space: SearchSpace, arm: Arm) -> None:
    values = space.baseline(arm)
    check_hyperparameters(values, f"the baseline {arm}")
    if space.limits is not None and space.fitting:
        space.limits.check(
            values, f"the student of the baseline {arm}", "give `plain_kd` a smaller student"
        )


def _check_n_points(config: StudyConfig, space: SearchSpace, n_points: int) -> None:
    """Refuse a grid that there are not enough trials for."""
    n_conditions, n_alone = len(space.conditions), n_baselines(config, space)
    n_needed = n_points * n_conditions + n_alone
    if n_needed > config.search.n_trials:
        raise ConfigError(
            f"search.n_trials is {config.search.n_trials}, but the grid has "
            f"{n_points_text(n_points)} for each of {n_conditions} conditions, which with "
            f"{n_alone} baselines are {n_needed:,} trials. Set n_trials to this number, or make "
            "the grid smaller: fewer choices, larger steps, fewer search.leads."
        )
