"""The results page, part by part."""

from collections.abc import Mapping, Sequence
from typing import Any

from mvkt_ray.search.finals.finals_plan import Contender
from results_page.compared import Compared
from results_page.optimum import Optimum
from results_page.result_tables import (
    every_lead_part,
    gains_part,
    some_leads_part,
    teacher_part,
)
from results_page.run_facts import RunFacts
from results_page.run_tables import contenders_part, facts_part, optimum_part, tried_part
from results_page.sentences import opening_part


def write_page(
    compared: Compared,
    plan: Sequence[Contender],
    facts: RunFacts,
    *,
    optimum: Optimum | None = None,
    tried: Sequence[Mapping[str, Any]] = (),
    command: str = "",
) -> str:
    """Return the whole page as Markdown."""
    parts = [
        opening_part(compared, facts, command),
        teacher_part(compared),
        every_lead_part(compared),
        gains_part(compared),
        some_leads_part(compared),
        contenders_part(plan),
        optimum_part(optimum),
        tried_part(tried),
        facts_part(facts, compared),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
