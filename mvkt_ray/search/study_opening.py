"""Opens a study for reading, while another process may run it."""

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
    """Open a study for reading.

    Args:
        folder: Folder of the study.
        database: Open ledgers, for commands that read several; by default they are opened, and
            restored from a store, for this study alone.

    Raises:
        ArtifactError: There is no study, or it has not started its first trial.
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
    """Return the budget of a study, with the spending on its teacher."""
    prices = PriceList(config.resources.cost)
    before = prices.spent(teacher_usage(folder, config).reservations)
    return Budget(prices, limits, before=before)
