"""A study on a ledger, as `mvkt search` starts or resumes it."""

from collections.abc import Mapping
from typing import Any

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.same_study import find_ledger
from mvkt_ray.search.study import Study


def begun_study(
    config: StudyConfig,
    space: SearchSpace,
    database: LedgerDatabase,
    *,
    inputs: Mapping[str, str],
    resume: bool = False,
    **options: Any,
) -> Study:
    """Start the study, or resume it; `options` are those of `Study.begin_or_resume`."""
    ledger = find_ledger(database, config.name, resume=resume)
    if ledger is None:
        ledger = Ledger.create(database, config.name, config.search.objectives)
    return Study.begin_or_resume(config, space, ledger, inputs=inputs, **options)
