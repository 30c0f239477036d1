"""A number in a ledger that was changed outside of mvkt-ray is known, whichever it is."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.sqlite_url import url_of

NAME = "sealed"
CONDITIONS = [Condition(leads=("I",)), Condition(leads=("II",))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with a note, a trial that is complete and one that runs."""
    file = tmp_path_factory.mktemp("sealed") / "ledger.db"
    ledger = Ledger.create(LedgerDatabase(url_of(file)), NAME)
    ledger.note({"leads": ["I", "II"], "opening": {"predictions": "0123", "n": 9}})
    for number, condition in enumerate(CONDITIONS):
        trial = Trial(
            number=number,
            condition=condition,
            arm=Arm.SEARCH,
            hyperparameters={"kd_weight": 0.37, "batch_size": 16, "student": "sepconv1d_tiny"},
        )
        ledger.add(trial, drawn={}, distributions={}, conditions=CONDITIONS)
    ledger.write_value(0, 1, 0.8125)
    ledger.write_value(0, 2, 0.84375)
    ledger.write_result(
        0,
        TrialResult(
            number=0,
            state=TrialState.COMPLETE,
            macro_auroc=0.84375,
            per_class_auroc={"AF": 0.75, "MI": float("nan")},
            epochs=2,
        ),
    )
    ledger.close()
    return file


def changed(whole: Path, folder: Path, statement: str) -> Path:
    file = folder / "ledger.db"
    shutil.copyfile(whole, file)
    with sqlite3.connect(file) as connection:
        assert connection.execute(statement).rowcount >= 1
    connection.close()
    return file


def read(file: Path) -> list[object]:
    ledger = Ledger.open(LedgerDatabase(url_of(file)), NAME)
    ledger.close()
    return [*ledger.records, ledger.notes]


def test_what_was_written_is_read(whole: Path) -> None:
    complete, running, notes = read(whole)
    assert complete.result.macro_auroc == 0.84375  # type: ignore[attr-defined]
    assert running.state is TrialState.RUNNING  # type: ignore[attr-defined]
    assert notes == {"leads": ["I", "II"], "opening": {"predictions": "0123", "n": 9}}


ATTRIBUTES = "UPDATE trial_user_attributes SET value_json"


@pytest.mark.parametrize(
    "statement",
    [
        f"{ATTRIBUTES} = replace(value_json, '0.84375', '0.94375') WHERE key = 'result'",
        f"{ATTRIBUTES} = replace(value_json, '0.37', '0.36') WHERE key = 'hyperparameters'",
        f"{ATTRIBUTES} = '\"II\"' WHERE key = 'condition' AND value_json = '\"I\"'",
        "UPDATE trial_user_attributes SET key = 'resulu' WHERE key = 'result'",
        "UPDATE trial_intermediate_values SET intermediate_value = 0.5 WHERE step = 1",
        "DELETE FROM trial_intermediate_values WHERE step = 1",
        "UPDATE trials SET number = 2 WHERE number = 1",
        "DELETE FROM trials WHERE number = 0",
        "UPDATE study_user_attributes SET value_json = replace(value_json, '0123', '0124')",
        "UPDATE study_user_attributes SET key = 'closing' WHERE key = 'opening'",
    ],
)
def test_a_row_that_was_changed_is_refused(whole: Path, tmp_path: Path, statement: str) -> None:
    file = changed(whole, tmp_path, statement)
    with pytest.raises(ArtifactError, match=r"ledger\.db cannot be read.*restore it from a copy"):
        read(file)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0), st.integers(0, 7))
def test_property_a_flipped_bit_is_refused_or_means_the_same(
    whole: Path, same: Callable[[list[object]], bool], tmp_path: Path, place: int, bit: int
) -> None:
    content = bytearray(whole.read_bytes())
    content[place % len(content)] ^= 1 << bit
    file = tmp_path / "ledger.db"
    file.write_bytes(content)
    try:
        found = read(file)
    except ArtifactError:
        return
    assert same(found)


@pytest.fixture(scope="module")
def same(whole: Path) -> Callable[[list[object]], bool]:
    """Whether what was read is what was written, but for times, which have no hash."""

    def told(read_back: list[object]) -> list[object]:
        return (
            [
                (each.trial, each.values, each.state, str(each.result))  # type: ignore[attr-defined]
                for each in read_back[:-1]
            ]
            + read_back[-1:]
        )

    expected = told(read(whole))
    return lambda found: told(found) == expected
