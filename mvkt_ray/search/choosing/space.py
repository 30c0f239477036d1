"""Search spaces: which hyper-parameters are drawn, from what, under which conditions.

A space is checked when it is made, before anything starts: every bound and every choice must make
valid `Hyperparameters`. Leads are not in the space; they are the conditions that a study compares.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import Scalar, StudyConfig
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Arm, Condition
from mvkt_ray.search.choosing.conditions import read_conditions, read_contender_leads
from mvkt_ray.search.choosing.parameters import (
    Distribution,
    check_hyperparameters,
    contains,
    read_distribution,
    read_value,
    require_name,
    shown,
)
from mvkt_ray.search.choosing.student_sizes import check_sizes_of_space, of_its_student

Params = Mapping[str, Scalar]


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchSpace:
    """What a study draws from, for which conditions, and what its baselines are."""

    conditions: tuple[Condition, ...]
    distributions: Mapping[str, Distribution]
    """Drawn parameters, each after those that its `when` names."""
    when: Mapping[str, Mapping[str, tuple[Scalar, ...]]]
    """For parameters that are drawn only sometimes: values of others at which they are."""
    defaults: Params
    """Every hyper-parameter that there is: the defaults, overlaid with the space's fixed values."""
    plain_kd: Params
    """What the plain distillation baseline sets."""
    leads: tuple[str, ...]
    """Leads of the dataset that the space was checked against."""

    @classmethod
    def from_config(cls, config: StudyConfig, leads: Sequence[str]) -> "SearchSpace":
        """Read and check the space, the conditions and the baselines of a study.

        Args:
            config: The study.
            leads: Canonical names of the leads that the dataset has.

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
            distributions=_in_drawing_order(distributions, when),
            when=_read_when(distributions, when, defaults),
            defaults=defaults,
            plain_kd=_read_plain_kd(config.plain_kd),
            leads=tuple(leads),
        )
        for arm in config.search.baselines:
            check_hyperparameters(space.baseline(Arm(arm)), f"the baseline {arm}")
        for name, contender in config.finals.contenders.items():
            # Finals are planned after the search; what can never be trained is refused before it.
            where = f"finals.contenders.{name}.leads"
            read_contender_leads(contender.leads, space.conditions, leads, where)
        _check_n_trials(config, space)
        return space

    @property
    def has_dependent_parameters(self) -> bool:
        """Whether some parameters are drawn only sometimes."""
        return bool(self.when)

    def draw(self, trial: optuna.Trial) -> dict[str, Scalar]:
        """Ask a trial of Optuna for every parameter that is to be drawn, given those before it."""
        drawn: dict[str, Scalar] = {}
        for name, distribution in self.distributions.items():
            if self._is_drawn(name, drawn):
                drawn[name] = _suggest(trial, name, distribution)
        return drawn

    def complete(self, drawn: Params) -> dict[str, Scalar]:
        """Return every hyper-parameter that the student has: drawn, fixed, and the defaults."""
        return of_its_student({**self.defaults, **drawn})

    def baseline(self, arm: Arm) -> dict[str, Scalar]:
        """Return every hyper-parameter that a baseline has; the same for every condition.

        A drawn parameter takes its default where the space has it, else the middle of its range
        (geometric on a log scale) or its first choice. Then the arm sets its own: the student alone
        switches both transfer losses off.
        """
        middle: dict[str, Scalar] = {}
        for name, distribution in self.distributions.items():
            if self._is_drawn(name, middle):
                middle[name] = _default_or_middle(distribution, self.defaults[name])
        own = {"kd_weight": 0.0, "clt_weight": 0.0} if arm is Arm.STUDENT_ALONE else self.plain_kd
        return of_its_student({**self.defaults, **middle, **own}, own, "plain_kd")

    def part_in_space(self, hyperparameters: Params) -> dict[str, Scalar]:
        """Return those values that the space could have drawn, for the columns of a ledger."""
        return {
            name: hyperparameters[name]
            for name, distribution in self.distributions.items()
            if name in hyperparameters and contains(distribution, hyperparameters[name])
        }

    def _is_drawn(self, name: str, drawn: Params) -> bool:
        return all(
            {**self.defaults, **drawn}[other] in values
            for other, values in self.when.get(name, {}).items()
        )


def _suggest(trial: optuna.Trial, name: str, distribution: Distribution) -> Scalar:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            value = trial.suggest_categorical(name, choices)
            assert value is not None
            return value


def _default_or_middle(distribution: Distribution, default: Scalar) -> Scalar:
    if contains(distribution, default):
        return default
    if isinstance(distribution, CategoricalDistribution):
        first = distribution.choices[0]
        assert first is not None
        return first
    low, high = distribution.low, distribution.high
    middle = math.sqrt(low * high) if distribution.log else (low + high) / 2
    if distribution.step:
        middle = low + round((middle - low) / distribution.step) * distribution.step
    return round(middle) if isinstance(distribution, IntDistribution) else middle


def _in_drawing_order(
    distributions: Mapping[str, Distribution], when: Mapping[str, Mapping[str, object]]
) -> dict[str, Distribution]:
    """Put each parameter after those that its `when` names, otherwise in the order of the file."""
    ordered: dict[str, Distribution] = {}
    left = dict(distributions)
    while left:
        ready = [name for name in left if not any(other in left for other in when.get(name, {}))]
        if not ready:
            raise ConfigError(
                f"space: the `when` of {', '.join(left)} name each other in a circle, so none "
                "could be drawn first. Remove one of these conditions."
            )
        ordered[ready[0]] = left.pop(ready[0])
    return ordered


def _read_when(
    distributions: Mapping[str, Distribution],
    when: Mapping[str, Mapping[str, tuple[Scalar, ...]]],
    defaults: Params,
) -> dict[str, dict[str, tuple[Scalar, ...]]]:
    """Check that every condition can hold, and give its values the types of the parameter."""
    checked: dict[str, dict[str, tuple[Scalar, ...]]] = {}
    for name, conditions in when.items():
        where = f"space.{name}.when"
        if name not in distributions:
            raise ConfigError(f"{where}: a fixed value is always used. Remove `when`.")
        checked[name] = {}
        for other, texts in conditions.items():
            require_name(where, other)
            if other not in distributions:
                raise ConfigError(
                    f"{where} names {other}, which is not drawn but always {defaults[other]!r}. "
                    f"Name one of {', '.join(n for n in distributions if n != name)}."
                )
            values = tuple(read_value(other, text, where) for text in texts)
            for value in values:
                if not _can_be(other, value, distributions[other], when, defaults):
                    raise ConfigError(
                        f"{where}: {other} is never {value!r}. It is drawn from "
                        f"{shown(distributions[other])}; name values of these, or choices."
                    )
            checked[name][other] = values
    return checked


def _can_be(
    name: str,
    value: Scalar,
    distribution: Distribution,
    when: Mapping[str, object],
    defaults: Params,
) -> bool:
    if name in when and value == defaults[name]:
        return True
    # A float of a continuous range is never drawn twice, so a condition on it would never hold.
    is_continuous = isinstance(distribution, FloatDistribution) and distribution.step is None
    return not is_continuous and contains(distribution, value)


def _read_plain_kd(values: Mapping[str, Scalar]) -> dict[str, Scalar]:
    for name in values:
        require_name("plain_kd", name)
    return {name: read_value(name, value, f"plain_kd.{name}") for name, value in values.items()}


def _check_n_trials(config: StudyConfig, space: SearchSpace) -> None:
    n_arms, n_conditions = len(config.search.baselines), len(space.conditions)
    n_needed = n_arms * n_conditions
    if config.search.n_trials < n_needed:
        raise ConfigError(
            f"search.n_trials is {config.search.n_trials}, but the baselines alone are {n_needed} "
            f"trials: {n_arms} for each of {n_conditions} conditions. Set it to {n_needed} or "
            "more, or name fewer search.leads or search.baselines."
        )
