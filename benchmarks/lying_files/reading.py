"""Readers of files, as commands: what one file says, without the rest of a command around it.

A command of `judging` takes seconds, and these milliseconds; so they see each file in a thousand
cases, and the commands in some dozens.
"""

import contextlib
import logging
import traceback
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

from mvkt_ray.errors import MvktError
from mvkt_ray.search.choosing.warm_starts.learnt import Learnt
from mvkt_ray.search.label_budget.budget_folder import BudgetFolder
from mvkt_ray.search.ledger.lease import Lease, LeaseTimes
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.postgres.noted_server import read_note
from mvkt_ray.search.ledger.shipped_ledger import claim, restore
from mvkt_ray.search.ledger.sqlite_url import url_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.artifacts import verify_artifact
from mvkt_ray.storage.location import Location
from mvkt_ray.training.checkpoint import Checkpoint, read_checkpoint
from mvkt_ray.training.predictions_file import read_predictions
from mvkt_ray.training.trial_files import StoredResult, TrialFolder

from .invoking import TRAINED_AGAIN, Answer, Command, Done
from .stored_ledger import CONFIG as OF_STORED_LEDGER


def numbers(case: Path) -> Answer:
    """Every trial of the search, as its ledger has it."""
    _, study = open_study(StudyFolder(Location.parse(case / "study")))
    with_study = {
        f"{record.number}.{key}": value
        for record in study.trials()
        for key, value in {
            "condition": record.condition,
            "arm": record.trial.arm,
            "state": record.state,
            "macro_auroc": record.macro_auroc,
            "values": dict(record.values),
            "drawn": dict(record.drawn),
        }.items()
    }
    study.close()
    return with_study


_AT_ONCE = LeaseTimes(lasts_s=0.0, renewed_s=3600.0)
_ANY_RECIPE = "of whatever trial"


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def _warnings() -> Generator[_Warnings]:
    handler = _Warnings()
    logging.getLogger("mvkt_ray").addHandler(handler)
    try:
        yield handler
    finally:
        logging.getLogger("mvkt_ray").removeHandler(handler)


def _reader(read: Callable[[Path], Any]) -> Command:
    """Return a command of a function: what it returns is the answer, None means: done again."""

    def run(case: Path) -> tuple[Done, Answer]:
        with _warnings() as warnings:
            try:
                value = read(case)
            except MvktError as error:
                return Done(2, "", f"Error: {error}"), {}
            except Exception:
                return Done(1, "", traceback.format_exc()), {}
        answer = TRAINED_AGAIN if value is None else {"value": value}
        return Done(0, "", "\n".join(warnings.lines)), answer

    return run


def _facts(database: Path) -> list[str]:
    study = Study.open(OF_STORED_LEDGER, LedgerDatabase(url_of(database)))
    try:
        return [repr(record) for record in study.trials()]
    finally:
        study.close()


def _read_store(case: Path) -> Any:
    root, database = Location.parse(case / "store" / "ledger"), case / "read.db"
    return None if restore(root, database) is None else _facts(database)


def _drive_store(case: Path) -> Any:
    root, database = Location.parse(case / "store" / "ledger"), case / "driven.db"
    lease = Lease.take(root, _AT_ONCE)
    try:
        claim(root)
        return None if restore(root, database) is None else _facts(database)
    finally:
        lease.give_back()


def _trials(case: Path, part: str) -> list[TrialFolder]:
    folders = sorted((case / part).iterdir())
    return [TrialFolder(Location.parse(folder)) for folder in folders]


def _results(part: str) -> Callable[[Path], Any]:
    def read(case: Path) -> Any:
        found: list[str] = []
        for trial in _trials(case, part):
            # As a ledger has it: of the undamaged study beside the case.
            name = trial.location.name
            whole = case.parent / "finished" / part / name / "result.json"
            expected = StoredResult.from_bytes(whole.read_bytes()).result
            found.append(repr(trial.read_result(expected)))
            if trial.student.exists():
                found.append(repr(hash(trial.read_student(expected))))
                predictions = trial.read_validation(expected)
                found.append(repr(predictions.probabilities_NC.tobytes()))
        return found

    return read


def _test_predictions(case: Path) -> Any:
    files = sorted((case / "study" / "finals" / "01").rglob("*test.arrow"))
    files += [case / "study" / "finals" / "01" / "teacher_validation.arrow"]
    return [repr(read_predictions(Location.parse(file))) for file in files]


def _checkpoints(case: Path) -> Any:
    found: list[object] = []
    for trial in _trials(case, "study/trials"):
        if not trial.checkpoint.exists():
            continue
        whole = case.parent / "halfway" / "study" / "trials" / trial.location.name
        recipe = Checkpoint.from_bytes((whole / "checkpoint.pt").read_bytes()).recipe
        content = trial.checkpoint.read_bytes()
        read = read_checkpoint(content, trial.checkpoint, recipe, is_own_place=True)
        if read is None:
            return None
        found.append(repr((read.epoch, read.history, read.recipe)))
    return found


def _untold(case: Path) -> Any:
    [trial] = [each for each in _trials(case, "study/trials") if each.location.name == "00003"]
    whole = case.parent / "untold" / "study" / "trials" / "00003" / "result.json"
    recipe = StoredResult.from_bytes(whole.read_bytes()).recipe
    stored = trial.parse_result(trial.result_content(), recipe)
    return None if stored is None else repr(stored)


def _study_files(case: Path) -> Any:
    folder = StudyFolder(Location.parse(case / "study"))
    return [
        repr(folder.read_config()),
        {kind: str(place).replace(str(case), "") for kind, place in folder.read_inputs().items()},
        folder.stage_times(),
        repr(folder.read_teacher_usage()),
    ]


def _key_of_ledger(folder: StudyFolder) -> Any:
    """Return which study it is; the URL may be written by people, and another has no such key."""
    noted = read_note(folder)
    return None if noted is None else noted.key


def _folder(read: Callable[[StudyFolder], Any]) -> Command:
    return _reader(lambda case: read(StudyFolder(Location.parse(case / "study"))))


READERS: Mapping[str, Command] = {
    "read the files of a study": _reader(_study_files),
    "read plugins.json": _folder(lambda folder: folder.read_plugins()),
    "read learnt.json": _folder(lambda folder: repr(Learnt.read(folder.learnt_file))),
    "read ledger.json": _folder(_key_of_ledger),
    "read usage.json": _folder(lambda folder: repr(folder.assistants.read_usage())),
    "read a label budget": _reader(
        lambda case: repr(BudgetFolder(Location.parse(case / "budget")).read_plan())
    ),
    "verify an assistant": _reader(
        lambda case: [
            verify_artifact(case / "study" / "assistants" / "II" / kind).fingerprint
            for kind in ("teacher", "knowledge")
        ]
    ),
    "read a stored ledger": _reader(_read_store),
    "drive a stored ledger": _reader(_drive_store),
    "read a ledger": _reader(numbers),
    "read trials": _reader(_results("study/trials")),
    "read finals": _reader(_results("study/finals/01/trials")),
    "read predictions": _reader(_test_predictions),
    "read checkpoints": _reader(_checkpoints),
    "read what was not told": _reader(_untold),
}
