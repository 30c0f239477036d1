"""The real teacher and real trials on two ranks of Ray Train come to what one process comes to."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.records import EpochMetrics, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.runner import Runner
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from tests.begun_study import begun_study

if TYPE_CHECKING:
    from conftest import TinySearch

ONE, TWO = WorkersConfig(), WorkersConfig(workers=2)


def open_study(tiny_search: "TinySearch", folder: Path, workers: WorkersConfig) -> Study:
    config: StudyConfig = tiny_search.config()
    config = replace(
        config,
        # It distils, with banks and negatives. Each trial takes Ray Train many seconds to start.
        search=replace(config.search, n_trials=1, baselines=()),
        resources=ResourcesConfig(trial=workers, teacher=workers, max_concurrent_trials=1),
    )
    return begun_study(
        config,
        SearchSpace.from_config(config, tiny_search.leads),
        LedgerDatabase(f"sqlite:///{folder / 'ledger.db'}"),
        inputs={},
    )


@pytest.mark.parametrize("runner", ["on_ray"], indirect=True)
def test_two_ranks_come_to_the_numbers_of_one_process(
    runner: Runner, tiny_search: "TinySearch", tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone, together = tmp_path_factory.mktemp("alone"), tmp_path_factory.mktemp("together")
    expected, study = open_study(tiny_search, alone, ONE), open_study(tiny_search, together, TWO)
    InProcess().run_trials(expected, tiny_search.inputs_in(alone), lambda: None)
    runner.run_trials(study, tiny_search.inputs_in(together), lambda: None)
    for one, two in zip(expected.trials(), study.trials(), strict=True):
        assert two.trial == one.trial
        assert two.state is TrialState.COMPLETE
        assert two.values == pytest.approx(one.values, abs=1e-4)

    teachers: dict[str, list[EpochMetrics]] = {"alone": [], "together": []}
    InProcess().train_teacher(
        tiny_search.job, Location.parse(alone / "teacher"), teachers["alone"].append
    )
    runner.train_teacher(
        tiny_search.job, Location.parse(together / "teacher"), teachers["together"].append
    )
    for one, two in zip(teachers["alone"], teachers["together"], strict=True):
        assert two.epoch == one.epoch
        assert two.losses["total"] == pytest.approx(one.losses["total"], abs=1e-4)
        assert two.macro_auroc == pytest.approx(one.macro_auroc, abs=1e-4)
