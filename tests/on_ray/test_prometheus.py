"""Metrics of a study, as Prometheus would scrape them from a node of a real Ray instance."""

import contextlib
import re
import time
import urllib.request
from pathlib import Path

import pytest
import ray

from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.resources import CostConfig, NodeTypeConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import ParameterConfig, SearchConfig
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.on_ray.prometheus import measuring
from mvkt_ray.records import EpochMetrics, Reservation, TrialResult, TrialState, Usage
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.spending.budget import Budget
from mvkt_ray.search.spending.prices import PriceList
from mvkt_ray.search.study import Study
from mvkt_ray.slots import Node
from tests.begun_study import begun_study
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.ray

NODE = Node(group="gpu", cpus=4, gpus=1)
PRICES = CostConfig(
    currency="EUR", node_types={"gpu": NodeTypeConfig(price_per_hour=7.2, cpus=4, gpus=1)}
)


def scraped() -> dict[str, float]:
    [node] = ray.nodes()
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    found: dict[str, float] = {}
    for name, tags, value in re.findall(r"^ray_(mvkt_\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        known = dict(re.findall(r'(\w+)="([^"]*)"', tags))
        assert known["study"] == "measured"
        extra = known.get("state") or known.get("currency")
        found[f"{name} {extra}" if extra else name] = float(value)
    return found


def run_two_trials(study: Study) -> None:
    """One is completed, one fails, and a third runs."""
    for state, value in ((TrialState.COMPLETE, 0.81), (TrialState.FAILED, None)):
        trial = study.ask()
        assert trial is not None
        held = Reservation(node=NODE, cpus=1, gpus=0.5, worker_s=1800)
        usage = Usage(kept=(held,))
        for epoch in (1, 2, 3):
            scored = 0.8 if epoch > 1 else None
            study.report(trial.number, EpochMetrics(epoch=epoch, macro_auroc=scored), usage)
        result = TrialResult(number=trial.number, state=state, macro_auroc=value, epochs=3)
        study.tell(result, usage)
    assert study.ask() is not None


def test_trials_scores_epochs_and_money_are_served_by_the_node(tmp_path: Path) -> None:
    config = StudyConfig(
        name="measured",
        student=StudentConfig(epochs=3),
        space={"learning_rate": ParameterConfig(low=1e-4, high=1e-2, log=True)},
        search=SearchConfig(leads=("I", "II"), n_trials=4),
    )
    with OnRay.connect(n_cpus=1):
        study = begun_study(
            config,
            SearchSpace.from_config(config, ("I", "II")),
            LedgerDatabase(f"sqlite:///{tmp_path / 'ledger.db'}"),
            inputs={},
            budget=Budget(PriceList(PRICES)),
        )
        with measuring(study, lambda: None):
            run_two_trials(study)
        expected = {
            "mvkt_trials complete": 1,
            "mvkt_trials failed": 1,
            "mvkt_trials running": 1,
            "mvkt_trials pruned": 0,
            "mvkt_trials diverged": 0,
            "mvkt_trials waiting": 0,
            "mvkt_best_macro_auroc": 0.81,
            "mvkt_epochs_total": 6,
            "mvkt_spent_gpu_hours": 0.5,
            "mvkt_spent_money EUR": 3.6,
        }
        found: dict[str, float] = {}
        # Ray collects every few seconds; the test's own limit is the end of the patience.
        while found != expected:
            time.sleep(0.2)
            # Its agent may still be starting.
            with contextlib.suppress(OSError):
                found = scraped()
        study.close()
