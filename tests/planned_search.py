"""A search without a command line, for tests: planned, opened and run."""

from typing import Any

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import EpochMetrics
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.listener import Listener
from mvkt_ray.search.opened_search import open_search
from mvkt_ray.search.pipeline import run_search
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.search_plan import SearchRequest, plan_search
from mvkt_ray.search.study import Study


class Silent:
    """A listener that hears everything and does nothing."""

    def stage_started(self, stage: str, what: str) -> None: ...

    def stage_progress(self, done: int, total: int) -> None: ...

    def stage_epoch(self, metrics: EpochMetrics) -> None: ...

    def stage_finished(self, stage: str, what: str, reused: bool) -> None: ...

    def study_opened(self, study: Study) -> None: ...

    def study_changed(self) -> None: ...


def plan_and_run(
    config: StudyConfig, folder: StudyFolder, runner: Runner, listener: Listener, **request: Any
) -> Study:
    """Run a search in a folder; `request` has further fields of a `SearchRequest`."""
    plan = plan_search(config, SearchRequest(folder=folder, **request))
    with open_search(plan) as search:
        return run_search(search, runner, listener)
