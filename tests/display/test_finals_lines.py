"""What a study's driver runs, and what is said of finals at each of their stages."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from mvkt_ray.display.finals_lines import driven_stages, finals_text, openings_text
from mvkt_ray.records import Arm, Condition, Trial, TrialState
from mvkt_ray.search.finals.finals_progress import FinalsProgress
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.trial_record import TrialRecord

START = datetime(2026, 1, 1)
OPENING = Opening(
    number=1, finals=1, opened_at="2026-01-02T03:04:05+00:00", mvkt_ray_version="1", code="c" * 64,
    commit=None, command="mvkt finalize", host="here", reason="", n_recordings=1200, shards="s",
    split="t",
)  # fmt: skip
DONE = replace(OPENING, completed_at="2026-01-02T04:00:00+00:00")


def record(number: int, state: TrialState, minutes: int) -> TrialRecord:
    trial = Trial(
        number=number, condition=Condition(leads=("I",)), arm=Arm.FINAL, hyperparameters={}
    )
    return TrialRecord(
        trial=trial, drawn={}, state=state, started_at=START + timedelta(minutes=minutes)
    )


def finals(*records: TrialRecord, opening: Opening | None = None) -> FinalsProgress:
    return FinalsProgress(
        number=1, n_trainings=4, records=records, opening=opening, left_behind=None
    )


RUNNING, COMPLETE = TrialState.RUNNING, TrialState.COMPLETE


@pytest.mark.parametrize(
    ("trials", "of_finals", "expected"),
    [
        ([record(0, RUNNING, 0)], None, (True, False)),
        ([record(0, COMPLETE, 0)], finals(record(0, RUNNING, 5)), (False, True)),
        # The search was interrupted, and finalized by --now.
        ([record(0, RUNNING, 0)], finals(record(0, RUNNING, 5)), (False, True)),
        ([record(0, RUNNING, 0)], finals(record(0, COMPLETE, 5), opening=OPENING), (False, True)),
        # The finals were interrupted, and the search went on.
        ([record(0, RUNNING, 9)], finals(record(0, RUNNING, 5)), (True, False)),
        ([record(0, RUNNING, 0)], finals(record(0, COMPLETE, 5), opening=DONE), (True, False)),
        ([record(0, COMPLETE, 0)], finals(), (False, True)),
    ],
)
def test_a_driver_runs_what_was_begun_last(
    trials: list[TrialRecord], of_finals: FinalsProgress | None, expected: tuple[bool, bool]
) -> None:
    rounds = [] if of_finals is None else [of_finals]
    assert driven_stages(trials, rounds, True) == expected
    assert driven_stages(trials, rounds, False) == (False, False)


def test_finals_are_told_by_what_has_ended_and_what_is_open() -> None:
    part = finals(record(0, COMPLETE, 0), record(1, TrialState.DIVERGED, 1), record(2, RUNNING, 2))
    ended = "2 of 4 trainings have ended, 1 of them failed or diverged"
    assert finals_text(part, is_driven=True) == f"{ended}, 1 is running"
    assert finals_text(part, is_driven=False) == f"{ended}, 1 is interrupted"
    opened = replace(part, records=part.records[:2], opening=OPENING)
    assert finals_text(opened, is_driven=True) == f"{ended}; the examination is running"
    assert finals_text(opened, is_driven=False) == f"{ended}; the examination was interrupted"
    assert finals_text(replace(opened, opening=DONE), is_driven=False) == f"{ended}; examined"
    behind = replace(part, left_behind="2026-01-03")
    assert "left behind, unopened, at 2026-01-03" in finals_text(behind, is_driven=False)
    assert "interrupted: finalize again" in finals_text(finals(), is_driven=False)


def test_openings_are_told_by_their_number_time_and_reason() -> None:
    again = replace(OPENING, number=2, reason="a reviewer asked")
    assert openings_text([]) == "never opened"
    once = openings_text([DONE])
    assert once.startswith("opened once at 2026-01-02T03:04:05+00:00 on here by mvkt-ray 1")
    assert once.endswith("for 1,200 recordings")
    twice = openings_text([DONE, again])
    assert twice.startswith("opened 2 times, the last time at")
    assert twice.endswith('because "a reviewer asked"')
