"""The conditions that a study compares: leads and lead sets, checked against the dataset."""

from collections.abc import Sequence

from mvkt_ray.data.recording import LEADS, canonical_lead
from mvkt_ray.errors import ConfigError
from mvkt_ray.records import Condition


def read_conditions(
    names: Sequence[str], leads: Sequence[str], where: str = "search.leads"
) -> tuple[Condition, ...]:
    """Turn `search.leads` into conditions.

    Args:
        names: A lead (`II`) or a lead set (`I+V5`) each, in any case; empty for every lead alone.
        leads: Canonical names of the leads that the dataset has.
        where: Key of the study file that they stand at.

    Returns:
        In the order given; the leads of a set are in the order of `LEADS`.

    Raises:
        ConfigError: A lead has no such name, is not in the dataset, or a condition is there twice.
    """
    if not names:
        return tuple(Condition(leads=(lead,)) for lead in leads)
    given: dict[Condition, str] = {}
    for name in names:
        condition = _read_condition(name, leads, where)
        if condition in given:
            raise ConfigError(
                f"{where}: {name!r} and {given[condition]!r} are the same condition, "
                f"{condition.name}. Remove one of them."
            )
        given[condition] = name
    return tuple(given)


def read_contender_leads(
    names: Sequence[str], conditions: Sequence[Condition], leads: Sequence[str], where: str
) -> tuple[Condition, ...]:
    """Turn the `leads` of a contender into conditions of the study.

    Args:
        names: As in `search.leads`; empty for every condition of the study.
        conditions: Of the study.
        leads: Canonical names of the leads that the dataset has.
        where: Key of the study file that they stand at.

    Raises:
        ConfigError: As `read_conditions`; or a lead is no condition of the study, so that nothing
            would be trained for it.
    """
    if not names:
        return tuple(conditions)
    wanted = read_conditions(names, leads, where)
    others = [each.name for each in wanted if each not in conditions]
    if others:
        raise ConfigError(
            f"{where} names {', '.join(others)}, which the study does not compare: search.leads "
            f"are {', '.join(each.name for each in conditions)}. Name some of these, or add "
            "the others to search.leads."
        )
    return wanted


def _read_condition(name: str, leads: Sequence[str], where: str) -> Condition:
    parts = [_read_lead(part, name, leads, where) for part in name.split("+")]
    twice = sorted({lead for lead in parts if parts.count(lead) > 1})
    if twice:
        raise ConfigError(
            f"{where}: {name!r} names {twice[0]} more than once. Name each lead of a set once."
        )
    return Condition(leads=tuple(sorted(parts, key=LEADS.index)))


def _read_lead(text: str, name: str, leads: Sequence[str], where: str) -> str:
    lead = canonical_lead(text)
    if lead is None:
        raise ConfigError(
            f"{where}: {text.strip()!r} in {name!r} is not one of the twelve leads "
            f"({', '.join(LEADS)}). Join the leads of a set by +, as in I+V5."
        )
    if lead not in leads:
        raise ConfigError(
            f"{where}: {name!r} needs lead {lead}, which the dataset lacks. It has "
            f"{', '.join(leads)}. Choose among these, or ingest a dataset that has {lead}."
        )
    return lead
