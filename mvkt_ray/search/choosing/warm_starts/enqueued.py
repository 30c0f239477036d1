"""Reads `search.enqueue`: configurations to try first.

Each is tried for its lead, or for every condition, after the baselines and before fully drawn
trials; the sampler draws its missing values, given the others. Enqueued trials are search trials
like all others: counted, pruned, and part of the sampler's history. The next one follows from the
number of search trials, so that the ledger needs no further record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mvkt_ray.config.search_config import Scalar
from mvkt_ray.errors import ConfigError
from mvkt_ray.phrasing import listing
from mvkt_ray.records import Condition
from mvkt_ray.search.choosing.conditions import read_contender_leads
from mvkt_ray.search.choosing.parameters import (
    check_hyperparameters,
    contains,
    read_value,
    require_name,
    shown,
)
from mvkt_ray.search.choosing.size_limits import SIZING

if TYPE_CHECKING:
    from mvkt_ray.search.choosing.space import SearchSpace

LEAD = "lead"
"""The key of an entry that is no hyper-parameter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Enqueued:
    """One enqueued trial."""

    condition: Condition
    given: Mapping[str, Scalar]
    """Values by drawn parameter; the sampler draws the others."""


def read_enqueued(
    entries: Sequence[Mapping[str, Scalar]], space: "SearchSpace"
) -> tuple[Enqueued, ...]:
    """Check the entries of `search.enqueue`, and return their trials, in order.

    Args:
        entries: Values by hyper-parameter, and `lead` for a single condition.
        space: The space that the values must be in.

    Raises:
        ConfigError: An entry has a lead or value outside the space, or a student beyond the limits.
    """
    trials: list[Enqueued] = []
    for place, entry in enumerate(entries):
        where = f"search.enqueue[{place}]"
        leads = [str(entry[LEAD])] if LEAD in entry else []
        conditions = read_contender_leads(leads, space.conditions, space.leads, f"{where}.lead")
        given = _read_given({k: v for k, v in entry.items() if k != LEAD}, space, where)
        trials += [Enqueued(condition=each, given=given) for each in conditions]
    return tuple(trials)


def _read_given(entry: Mapping[str, Scalar], space: "SearchSpace", where: str) -> dict[str, Scalar]:
    given: dict[str, Scalar] = {}
    for name, text in entry.items():
        require_name(where, name)
        value = read_value(name, text, where)
        distribution = space.distributions.get(name)
        if distribution is None:
            if value == space.defaults[name]:
                continue
            raise ConfigError(
                f"{where}: {name} is {value!r}, but every trial of this study has "
                f"{space.defaults[name]!r}. Leave it out, or give {name} a range or choices in "
                "`space`."
            )
        if not contains(distribution, value):
            raise ConfigError(
                f"{where}: {name} is {value!r}, which is outside the space: it is drawn from "
                f"{shown(distribution)}. Give a value in it, or a larger space."
            )
        given[name] = value
    _check_dependent(given, space, where)
    check_hyperparameters({**space.defaults, **given}, where)
    _check_limits(given, space, where)
    return given


def _check_dependent(given: Mapping[str, Scalar], space: "SearchSpace", where: str) -> None:
    """Refuse a value that might not be used: whether it is must follow from the entry."""
    for name in given:
        for other, values in space.when.get(name, {}).items():
            if given.get(other) not in values:
                raise ConfigError(
                    f"{where}: {name} is used only where {other} is "
                    f"{' or '.join(map(repr, values))}. Give {other} as well, or leave {name} out."
                )


def _check_limits(given: Mapping[str, Scalar], space: "SearchSpace", where: str) -> None:
    """Refuse a student that is too large, or whose size the entry does not determine."""
    if space.limits is None or not space.fitting:
        return
    deciding = space.deciding(SIZING)
    known = [name for name in deciding if name in given]
    if not known:
        return
    drawn = [name for name in deciding if space.is_drawn(name, given)]
    if missing := [name for name in drawn if name not in given]:
        raise ConfigError(
            f"{where} gives {listing(known)} but not {listing(missing)}, which together determine "
            "a student's size. With search.limits give all of them, or none."
        )
    student = space.complete(given)
    space.limits.check(student, f"the student of {where}", "give a smaller one")
