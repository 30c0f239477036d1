"""Grids: all points of a search space whose parameters have few values, counted and listed.

A conditional parameter multiplies only the points at which its condition holds.
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.choosing.parameters import Distribution, shown

Params = Mapping[str, Scalar]
Values = Mapping[str, Sequence[Scalar]]
"""Values by parameter; a parameter follows those that decide whether it is drawn."""
IsDrawn = Callable[[str, Params], bool]

FEW = 12
"""Number of values that represent a range with too many points to enumerate."""

_DIGITS = 12
"""Decimal digits of values, since 0.1 + 2 * 0.1 is not 0.3."""


def grid_values(name: str, distribution: Distribution) -> tuple[Scalar, ...]:
    """Return all values of a grid's parameter, ascending, or in the given order of choices.

    Raises:
        ConfigError: The parameter is continuous.
    """
    match distribution:
        case CategoricalDistribution(choices=choices):
            return tuple(choice for choice in choices if choice is not None)
        case IntDistribution(low=low, high=high, step=step):
            return tuple(range(low, high + 1, step))
        case FloatDistribution(low=low, high=high, step=step):
            if step is None:
                raise ConfigError(
                    f"space.{name} is drawn from {shown(distribution)} without a step, which "
                    "makes an infinite grid. Add `step`, or list the values as choices; or set "
                    "search.sampler to tpe, which draws from ranges."
                )
            n_steps = round((high - low) / step)
            return tuple(round(low + n * step, _DIGITS) for n in range(n_steps + 1))


def few_values(distribution: Distribution, named: Collection[Scalar]) -> tuple[Scalar, ...]:
    """Return values that represent a parameter: both ends of its range, and some between.

    Args:
        distribution: Distribution of the parameter.
        named: Values to include, on which other parameters depend.
    """
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        return (distribution.low,)
    values = grid_values("", distribution)
    if len(values) <= FEW or isinstance(distribution, CategoricalDistribution):
        return values
    # Geometrically spaced, as the sizes of students that these values set compare by ratio.
    places = np.geomspace(1, len(values), FEW).round().astype(int) - 1
    kept = {*places.tolist(), len(values) - 1, *(values.index(v) for v in named if v in values)}
    return tuple(values[place] for place in sorted(kept))


def points(
    values: Values, is_drawn: IsDrawn, drawn: Params | None = None
) -> Iterator[dict[str, Scalar]]:
    """Yield every combination of values, the last parameter changing first.

    Args:
        values: Values by parameter.
        is_drawn: Returns whether a parameter is drawn, given the values of those before it.
        drawn: Values of other parameters, included in each combination.
    """
    if not values:
        yield dict(drawn or {})
        return
    (name, own), *others = values.items()
    later = dict(others)
    before = drawn or {}
    if not is_drawn(name, before):
        yield from points(later, is_drawn, before)
        return
    for value in own:
        yield from points(later, is_drawn, {**before, name: value})


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The points of a space, counted or listed on demand, as there may be too many to list."""

    values: Values
    is_drawn: IsDrawn
    deciding: Collection[str]
    """Parameters that decide whether others are drawn or points are within the limits, and those
    that decide about these. All other parameters are independent of each other."""
    is_within: Callable[[Params], bool]
    """Whether points with given values of the deciding parameters are within the limits."""

    def count(self) -> tuple[int, int]:
        """Return the numbers of points within and beyond the limits."""
        n_within = n_beyond = 0
        # Only deciding parameters are enumerated; the others multiply, as none depends on another.
        for decided in points(self._deciding_values, self.is_drawn):
            free = [values for name, values in self._others.items() if self.is_drawn(name, decided)]
            n_alike = math.prod(len(values) for values in free)
            if self.is_within(decided):
                n_within += n_alike
            else:
                n_beyond += n_alike
        return n_within, n_beyond

    def list_points(self) -> list[dict[str, Scalar]]:
        """Return the points within the limits, the deciding parameters changing last."""
        return [
            point
            for decided in points(self._deciding_values, self.is_drawn)
            if self.is_within(decided)
            for point in points(self._others, self.is_drawn, decided)
        ]

    @property
    def _deciding_values(self) -> Values:
        return {name: values for name, values in self.values.items() if name in self.deciding}

    @property
    def _others(self) -> Values:
        return {name: values for name, values in self.values.items() if name not in self.deciding}


def n_points_text(n_points: int) -> str:
    """Write `1 point`, `12 points`, or `about 3e+13 points`."""
    if n_points == 1:
        return "1 point"
    return f"{n_points:,} points" if n_points < 1e12 else f"about {float(n_points):.0e} points"
