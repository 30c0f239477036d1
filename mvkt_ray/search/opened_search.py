"""A planned search with an open ledger and the exclusive right to run it.

Reads: the study's folder and its ledger. Writes: the lock or the lease of the folder.
"""

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import MeasuredPrecision
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.validation_noise import ValidationNoise
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, driving
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.same_study import find_ledger
from mvkt_ray.search.search_plan import SearchPlan, read_begun
from mvkt_ray.search.spending.budget import Budget
from mvkt_ray.search.study import Study


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedSearch:
    """A plan, with the exclusive right to write its study."""

    plan: SearchPlan
    database: LedgerDatabase
    ledger: Ledger | None
    """Ledger of an earlier start; None: there is none yet."""
    at_end: contextlib.ExitStack
    """Closes the ledger before the lock of the study is released."""

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """The trials of earlier starts."""
        return () if self.ledger is None else tuple(self.ledger.records)

    def begin_or_resume(
        self,
        config: StudyConfig,
        space: SearchSpace,
        *,
        inputs: Mapping[str, str],
        precisions: Callable[[], Mapping[str, MeasuredPrecision]],
        budget: Budget,
    ) -> Study:
        """Begin the study, or resume it.

        Args:
            config: Configuration of the plan, completed with the shards.
            space: The search space.
            inputs: Fingerprints of the trials' inputs, by kind.
            precisions: Measures `precision: auto` on CPUs; called if the study begins.
            budget: Limits, and spending before the trials.

        Raises:
            StaleArtifactError: The study in the ledger has another configuration or other inputs.
        """
        ledger = self.ledger
        if ledger is None:
            ledger = Ledger.create(self.database, config.name, config.search.objectives)
            self.at_end.callback(ledger.close)
        return Study.begin_or_resume(
            config,
            space,
            ledger,
            inputs=inputs,
            precisions=precisions,
            deadline_s=self.plan.request.time_left_s,
            noise=ValidationNoise(self.plan.folder.trials),
            budget=budget,
            learnt=self.plan.learnt,
        )


@contextlib.contextmanager
def open_search(plan: SearchPlan, patience: Patience | None = None) -> Generator[OpenedSearch]:
    """Lock the study of a plan, check that the plan is still valid, and open the ledger.

    Args:
        plan: Plan of the search.
        patience: Waiting times for a ledger on a server.

    Raises:
        ArtifactError: Another process drives the study, or has begun or changed it since it was
            planned; the ledger is damaged.
        StoreError: The store or the server refuses, or did not answer in time.
    """
    with driving(plan.folder, server=plan.request.ledger, patience=patience) as database:
        if read_begun(plan.folder) != plan.begun:
            raise ArtifactError(
                f"{plan.folder.root} was changed by another search while this one was being "
                "planned. Start this one again."
            )
        ledger = find_ledger(database, plan.config.name, resume=plan.request.resume)
        with contextlib.ExitStack() as at_end:
            if ledger is not None:
                at_end.callback(ledger.close)
            yield OpenedSearch(plan=plan, database=database, ledger=ledger, at_end=at_end)
