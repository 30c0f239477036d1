"""Opens a study to look at it, while another process may run it."""

import contextlib

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import StaleArtifactError
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.spending.breakdown import teacher_usage
from mvkt_ray.search.spending.budget import NO_LIMITS, Budget, Limits
from mvkt_ray.search.spending.prices import PriceList
from mvkt_ray.search.study import Study


def open_study(
    folder: StudyFolder, database: LedgerDatabase | None = None
) -> tuple[StudyConfig, Study]:
    """Open a study to look at it.

    Args:
        folder: Of the study.
        database: Its ledgers, where the command reads more of them; by default they are opened, and
            restored from a store, for this study alone.

    Raises:
        ArtifactError: There is none, or it has not come to its first trial yet.
    """
    folder.expect_study()
    config = folder.read_config()
    with reading(folder) if database is None else contextlib.nullcontext(database) as ledgers:
        try:
            return config, Study.open(config, ledgers, budget=budget_of(folder, config))
        except StaleArtifactError as error:
            raise StaleArtifactError(
                f"{folder.study_file} differs from the ledger: {error} Or restore it from a copy."
            ) from error


def budget_of(folder: StudyFolder, config: StudyConfig, limits: Limits = NO_LIMITS) -> Budget:
    """Return the limits of a study and the cost of its teacher, which is there."""
    prices = PriceList(config.resources.cost)
    before = prices.spent(teacher_usage(folder, config).reservations)
    return Budget(prices, limits, before=before)
