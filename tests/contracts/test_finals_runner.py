"""What every runner must do with finals: the same trainings, the same numbers on the test split."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mvkt_ray.config.search_config import FinalsConfig
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.records import Arm, Trial, TrialResult, TrialState
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.finals.examine import Examination, examine_all
from mvkt_ray.search.finals.finals import Finals
from mvkt_ray.search.finals.finals_ledger import FinalsLedger, ledger_name
from mvkt_ray.search.finals.finals_plan import plan_finals
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_folder import FinalsFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.runner import Runner
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions

if TYPE_CHECKING:
    from conftest import TinySearch


@contextmanager
def finals_in(folder: Path, tiny_search: "TinySearch") -> Iterator[Finals]:
    """Begin finals of two leads, the chosen one beside the student alone, or go on with them."""
    asked = FinalsConfig(n_seeds=1, baselines=("student_alone",))
    config = replace(tiny_search.config(), finals=asked)
    space = SearchSpace.from_config(config, tiny_search.leads)
    records = [
        TrialRecord(
            trial=Trial(
                number=number,
                condition=condition,
                arm=Arm.SEARCH,
                hyperparameters=space.complete({"learning_rate": 0.01}),
            ),
            drawn={},
            state=TrialState.COMPLETE,
        )
        for number, condition in enumerate(space.conditions)
    ]
    records = [replace(record, result=complete(record.number)) for record in records]
    database = LedgerDatabase(f"sqlite:///{folder / 'ledger.db'}")
    plan = plan_finals(config.finals, space, records)
    ledger = FinalsLedger.find(database, ledger_name(config.name, 1)) or FinalsLedger.begin(
        database, config.name, 1, plan=plan, facts={}, reason=""
    )
    finals = Finals(config, space, ledger)
    try:
        yield finals
    finally:
        finals.close()


def complete(number: int) -> TrialResult:
    return TrialResult(number=number, state=TrialState.COMPLETE, macro_auroc=0.7)


def examination(tiny_search: "TinySearch", folder: Path) -> Examination:
    """Open the test split of the tiny shards."""
    job = tiny_search.job
    shards = open_shards(job.shards)
    splits = open_training_splits(shards, job.task, job.folds)
    opening = Opening.now(
        number=1,
        finals=1,
        reason="",
        n_recordings=splits.n_test,
        shards=shards,
        task=job.task,
        folds=job.folds,
        min_likelihood=0.0,
    )
    inputs = tiny_search.inputs_in(folder)
    return Examination(inputs=inputs, folder=str(folder), opening=opening)


def outcome(finals: Finals, folder: Path) -> dict[str, Any]:
    """All numbers, exactly."""
    files = FinalsFolder(Location.parse(folder))
    facts: dict[str, Any] = {
        "teacher": read_predictions(files.teacher_test).probabilities_NC.tobytes(),
        "teacher on validation": read_predictions(
            files.teacher_validation
        ).probabilities_NC.tobytes(),
    }
    for record in finals.trials():
        assert record.result is not None
        test = read_predictions(files.test(record.number))
        facts[str(record.number)] = (
            record.trial,
            record.state,
            record.result.macro_auroc,
            dict(record.values),
            test.record_ids_N.tolist(),
            test.probabilities_NC.tobytes(),
        )
    return facts


@pytest.fixture(scope="session")
def expected(
    tiny_search: "TinySearch", tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, Any]]:
    """The hash of all predictions and every number, in this process, undisturbed."""
    folder = tmp_path_factory.mktemp("expected_finals")
    with finals_in(folder, tiny_search) as finals:
        here = InProcess()
        here.run_trials(finals, tiny_search.inputs_in(folder), lambda: None)
        trials = [record.trial for record in finals.trials()]
        assert len(trials) == 4
        hashed = examine_all(examination(tiny_search, folder), trials, here, lambda *_: None)
        return hashed, outcome(finals, folder)


def test_interrupted_finals_come_to_the_same_numbers_with_every_runner(
    runner: Runner,
    tiny_search: "TinySearch",
    tmp_path: Path,
    expected: tuple[str, dict[str, Any]],
) -> None:
    inputs = tiny_search.inputs_in(tmp_path)
    with finals_in(tmp_path, tiny_search) as finals:

        def interrupt_in_the_second() -> None:
            if len(finals.trials()) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            runner.run_trials(finals, inputs, interrupt_in_the_second)
    with finals_in(tmp_path, tiny_search) as finals:
        # The driver commits a result before anybody may interrupt: one has ended, one was begun.
        assert [record.number for record in finals.trials() if record.result is None] == [1]
        runner.run_trials(finals, inputs, lambda: None)
        assert finals.is_trained
        progress: list[tuple[int, int]] = []
        hashed = examine_all(
            examination(tiny_search, tmp_path),
            [record.trial for record in finals.trials()],
            runner,
            lambda *done: progress.append(done),
        )
        assert progress == [(n, 5) for n in range(6)]
        assert (hashed, outcome(finals, tmp_path)) == expected
