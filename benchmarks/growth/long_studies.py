"""Studies of thousands of trials with made-up scores, whose ledgers are as a search leaves them.

A search of ten thousand trials makes some 150,000 transactions, one for every report. So the study
runs over a ledger whose database is not there, which takes seconds, and what it then has in memory
is written to a real database at once. `check_copy` runs a small one in both ways, and compares
every table.
"""

import json
import math
import sqlite3
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import optuna
from optuna.storages import RDBStorage
from optuna.storages._rdb import models

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import PrunerConfig
from mvkt_ray.config.study_file import read_study
from mvkt_ray.data.recording import LEADS
from mvkt_ray.records import Decision, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.sqlite_url import url_of
from mvkt_ray.search.ledger.study_identity import plain_config
from mvkt_ray.search.study import Study
from tests.begun_study import begun_study

EPOCHS = 10
N_AT_ONCE = 16
N_CLASSES = 5
INPUTS = {"shards": "0" * 64, "teacher": "1" * 64}
_SPACE = Path(__file__).parents[2] / "search_spaces" / "best_single_lead.yaml"


def long_study(n_trials: int, *, sampler: str = "tpe", conditions: str = "balanced") -> StudyConfig:
    """Return `best_single_lead.yaml` with so many trials of ten epochs, successively halved."""
    config = read_study(_SPACE)
    pruner = PrunerConfig(kind="successive_halving", min_epochs=4, reduction_factor=2)
    search = replace(config.search, n_trials=n_trials, pruner=pruner)
    return replace(
        config,
        student=replace(config.student, epochs=EPOCHS),
        search=replace(search, sampler=sampler, conditions=conditions),
    )


def noise(numbers: Sequence[int]) -> Any:
    """Return what a bootstrap over patients would say of students that are alike."""
    n = len(numbers)
    return 0.004**2 * (0.5 * np.ones((n, n)) + 0.5 * np.eye(n))


def open_study(database: LedgerDatabase, config: StudyConfig) -> Study:
    """Go on with a study, as a driver that is started again does."""
    space = SearchSpace.from_config(config, LEADS)
    return begun_study(config, space, database, resume=True, inputs=INPUTS, noise=noise)


def macro_auroc(trial: Trial, epoch: int) -> float:
    """Return what a made-up student has reached after an epoch."""
    drawn = trial.hyperparameters
    off = math.log(float(drawn["distill_temperature"]) / 3) ** 2
    off += math.log(float(drawn["learning_rate"]) / 6e-3) ** 2
    lead = 0.004 * LEADS.index(trial.condition.leads[0])
    own = 0.01 * math.sin(12.9898 * trial.number)
    return 0.8 + lead + own - 0.02 * off - 0.1 * math.exp(-epoch / 3)


def run_trials(study: Study, n_trials: int | None = None) -> None:
    """Run the trials of a study, some side by side, or so many of them."""
    running: deque[tuple[Trial, int]] = deque()
    left = study.n_trials if n_trials is None else n_trials
    while True:
        while left and len(running) < N_AT_ONCE and (trial := study.ask()) is not None:
            left -= 1
            running.append((trial, 1))
        if not running:
            return
        trial, epoch = running.popleft()
        value = macro_auroc(trial, epoch)
        decision = study.report(trial.number, EpochMetrics(epoch=epoch, macro_auroc=value))
        if decision is Decision.CONTINUE and epoch < EPOCHS:
            running.append((trial, epoch + 1))
        else:
            study.tell(ended(trial, epoch, decision))


def ended(trial: Trial, epoch: int, decision: Decision) -> TrialResult:
    """Return the result of a trial that was told to stop, or came to its last epoch."""
    value = macro_auroc(trial, epoch)
    is_pruned = decision is Decision.PRUNE
    return TrialResult(
        number=trial.number,
        state=TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
        reason=f"pruned after epoch {epoch}" if is_pruned else "",
        macro_auroc=value,
        per_class_auroc={f"class {number}": value for number in range(N_CLASSES)},
        epochs=epoch,
        wall_s=3.0 * epoch,
        cpu_s=3.0 * epoch,
        n_parameters=50_000,
        node="node-0/00000000",
    )


def make_ledger(folder: Path, config: StudyConfig) -> LedgerDatabase:
    """Make the ledger of a study whose trials have all ended.

    Args:
        folder: Where `ledger.db` is made.
        config: The study. Its trials are drawn at random, whatever its sampler.
    """
    database = LedgerDatabase(url_of(folder / "ledger.db"))
    drawn = replace(config, search=replace(config.search, sampler="random"))
    space = SearchSpace.from_config(drawn, LEADS)
    Ledger.create(database, config.name).close()
    unwritten = _NoDatabase(config.name)
    ledger = Ledger(cast(RDBStorage, unwritten), config.name, database)
    run_trials(Study.begin_or_resume(drawn, space, ledger, inputs=INPUTS, noise=noise))
    # The study is the one that was asked for, whose first trials were random.
    ledger.note({"config": plain_config(config)})
    _write(folder / "ledger.db", unwritten)
    return database


def check_copy(folder: Path, n_trials: int = 60) -> None:
    """Compare a ledger that `make_ledger` wrote with one that a study wrote, table by table.

    Raises:
        AssertionError: They differ in more than times.
    """
    config = long_study(n_trials, sampler="random")
    (folder / "written").mkdir()
    (folder / "made").mkdir()
    written = LedgerDatabase(url_of(folder / "written" / "ledger.db"))
    space = SearchSpace.from_config(config, LEADS)
    study = begun_study(config, space, written, inputs=INPUTS, noise=noise)
    run_trials(study)
    study.close()
    make_ledger(folder / "made", config)
    tables = [_tables(folder / each / "ledger.db") for each in ("written", "made")]
    for name in tables[0]:
        assert tables[0][name] == tables[1][name], f"the ledgers differ in {name}"


def _tables(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read a ledger without what depends on when its rows were written."""
    hidden = ("datetime", "_attribute_id", "_value_id", "param_id")
    with sqlite3.connect(file) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found: dict[str, list[tuple[Any, ...]]] = {}
        for (name,) in names.fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            kept = [each for each in columns if not any(part in each for part in hidden)]
            found[name] = sorted(
                connection.execute(f"SELECT {', '.join(kept)} FROM {name}"), key=repr
            )
    return found


class _NoDatabase:
    """What a ledger writes to, where nothing is written but remembered."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.notes: dict[str, Any] = {}
        self.trials: list[optuna.trial.FrozenTrial] = []

    def get_study_id_from_name(self, name: str) -> int:
        return 1

    def get_study_user_attrs(self, study_id: int) -> Mapping[str, Any]:
        return dict(self.notes)

    def get_study_system_attrs(self, study_id: int) -> Mapping[str, Any]:
        return {}

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self.notes[key] = value

    def create_new_trial(self, study_id: int, template_trial: optuna.trial.FrozenTrial) -> int:
        self.trials.append(template_trial)
        return len(self.trials)

    def set_trial_intermediate_value(self, trial_id: int, step: int, value: float) -> None:
        self.trials[trial_id - 1].intermediate_values[step] = value

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.trials[trial_id - 1].set_user_attr(key, value)

    def set_trial_state_values(
        self, trial_id: int, state: optuna.trial.TrialState, values: Sequence[float] | None
    ) -> None:
        trial = self.trials[trial_id - 1]
        trial.values, trial.state = values, state
        trial.datetime_complete = trial.datetime_start


def _write(file: Path, made: _NoDatabase) -> None:
    """Write notes and trials to the tables of an empty ledger, in one transaction."""
    rows: dict[type[Any], list[dict[str, Any]]] = {
        models.StudyUserAttributeModel: [
            {"study_id": 1, "key": key, "value_json": json.dumps(value)}
            for key, value in made.notes.items()
        ],
        models.TrialModel: [],
        models.TrialParamModel: [],
        models.TrialUserAttributeModel: [],
        models.TrialValueModel: [],
        models.TrialIntermediateValueModel: [],
    }
    finite = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
    for number, trial in enumerate(made.trials):
        of = {"trial_id": number + 1}
        rows[models.TrialModel].append(
            of
            | {
                "number": number,
                "study_id": 1,
                "state": trial.state,
                "datetime_start": trial.datetime_start,
                "datetime_complete": trial.datetime_complete,
            }
        )
        for name, value in trial.params.items():
            distribution = trial.distributions[name]
            rows[models.TrialParamModel].append(
                of
                | {
                    "param_name": name,
                    "param_value": distribution.to_internal_repr(value),
                    "distribution_json": optuna.distributions.distribution_to_json(distribution),
                }
            )
        for key, value in trial.user_attrs.items():
            rows[models.TrialUserAttributeModel].append(
                of | {"key": key, "value_json": json.dumps(value)}
            )
        for objective, value in enumerate(trial.values or ()):
            rows[models.TrialValueModel].append(
                of
                | {
                    "objective": objective,
                    "value": value,
                    "value_type": models.TrialValueModel.TrialValueType.FINITE,
                }
            )
        for step, value in trial.intermediate_values.items():
            rows[models.TrialIntermediateValueModel].append(
                of
                | {
                    "step": step,
                    "intermediate_value": value,
                    "intermediate_value_type": finite,
                }
            )
    storage = RDBStorage(url_of(file))
    with storage.engine.begin() as connection:
        for model, values in rows.items():
            connection.execute(model.__table__.insert(), values)
    storage.engine.dispose()
