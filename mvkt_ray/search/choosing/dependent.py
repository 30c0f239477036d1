"""Conditional parameters, drawn only at certain values of others: `when` in a search space."""

from collections.abc import Mapping

from optuna.distributions import FloatDistribution

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.choosing.parameters import (
    Distribution,
    contains,
    read_value,
    require_name,
    shown,
)

Params = Mapping[str, Scalar]


def in_drawing_order(
    distributions: Mapping[str, Distribution], when: Mapping[str, Mapping[str, object]]
) -> dict[str, Distribution]:
    """Return the parameters so ordered that each follows those in its `when`, else as in the file.

    Raises:
        ConfigError: Conditions form a cycle.
    """
    # Takes always the first that is ready, which keeps the file's order as far as possible.
    ordered: dict[str, Distribution] = {}
    left = dict(distributions)
    while left:
        ready = [name for name in left if not any(other in left for other in when.get(name, {}))]
        if not ready:
            raise ConfigError(
                f"space: the `when` of {', '.join(left)} form a cycle, so none can be drawn "
                "first. Remove one of these conditions."
            )
        ordered[ready[0]] = left.pop(ready[0])
    return ordered


def read_when(
    distributions: Mapping[str, Distribution],
    when: Mapping[str, Mapping[str, tuple[Scalar, ...]]],
    defaults: Params,
) -> dict[str, dict[str, tuple[Scalar, ...]]]:
    """Return the conditions with values of the parameters' types; each condition must be possible.

    Args:
        distributions: Distributions of the drawn parameters.
        when: By parameter, the values of others at which it is drawn, as in the study file.
        defaults: Values of all hyper-parameters.

    Raises:
        ConfigError: A parameter with a condition is fixed, or a condition can never hold.
    """
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
                    f"{where} names {other}, which is not drawn: it is always "
                    f"{defaults[other]!r}. Name one of "
                    f"{', '.join(n for n in distributions if n != name)}."
                )
            values = tuple(read_value(other, text, where) for text in texts)
            for value in values:
                if not _can_be(other, value, distributions[other], when, defaults):
                    raise ConfigError(
                        f"{where}: {other} is never {value!r}. It is drawn from "
                        f"{shown(distributions[other])}; name such values, or add choices."
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
