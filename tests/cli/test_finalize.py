"""`mvkt finalize` from the command line: killed, resumed, refused, and what it says."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from mvkt_ray.config.resources import CostConfig
from mvkt_ray.display.state_reader import state_of
from mvkt_ray.records import Arm, Condition, Trial, TrialResult, TrialState
from mvkt_ray.search import in_process
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.search.spending.prices import PriceList, Spent
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.output_lock import holding

N_TRAININGS = 4
PREFIX = "Interrupted; all progress is saved. Resume with: mvkt "
LINE = ("finalize", "--in-process", "--seeds", 2)
"""With the finals of `finals_file`: two leads, what was chosen, two seeds."""


@pytest.fixture
def copied(study_dir: Path, tmp_path: Path) -> Path:
    """A finished search of two leads, to do something to."""
    return Path(shutil.copytree(study_dir, tmp_path / "a study"))


@pytest.fixture
def finals_file(study_dir: Path, tmp_path: Path) -> Path:
    """The file of the same study with other finals: what was chosen, and nothing beside it."""
    value = yaml.safe_load((study_dir / "study.yaml").read_text())
    value["finals"] = {"n_seeds": 9, "baselines": []}
    path = tmp_path / "finals.yaml"
    path.write_text(yaml.safe_dump(value))
    return path


KILL_POINTS = {
    # After the checkpoint of the first epoch of the third training.
    "in a training": ("mvkt_ray.training.fit", "_scored", 2 * 2 + 1),
    "between the opening and the first prediction": (
        "mvkt_ray.search.finals.run_finals",
        "examine_all",
        0,
    ),
    # At the third: of the teacher and a student at least one has been examined.
    "between two predictions": ("mvkt_ray.search.finals.examine", "examine", 2),
}
PROGRAM = """
    import importlib, signal, sys
    from mvkt_ray.cli import app

    owner = importlib.import_module({module!r})
    original, calls = getattr(owner, {name!r}), []

    def pause(*args, **options):
        calls.append(1)
        if len(calls) > {after}:
            print("here", flush=True)
            signal.pause()
        return original(*args, **options)

    setattr(owner, {name!r}, pause)
    app({line!r}, prog_name="mvkt")
"""


def kill_at(point: str, line: tuple[Any, ...]) -> None:
    """Run a command line in a process of its own and kill it, with -9, when it is there."""
    module, name, after = KILL_POINTS[point]
    words = [str(word) for word in line]
    code = textwrap.dedent(PROGRAM).format(module=module, name=name, after=after, line=words)
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
    )
    assert driver.stdout is not None
    assert driver.stderr is not None
    said = [line for line in driver.stdout if line == "here\n" and not driver.kill()]
    errors = driver.stderr.read()
    assert driver.wait() == -signal.SIGKILL, errors
    # Two threads may come to the point before the signal does.
    assert set(said) == {"here\n"}, errors
    driver.stdout.close()
    driver.stderr.close()


def opened(study: Path, mvkt: Any) -> list[Any]:
    """The openings of a study, as its next finals would list them."""
    return mvkt(
        "finalize", study, "--in-process", "--again", "to look", "--dry-run", "--json"
    ).json["openings"]


def test_killed_at_every_stage_it_opens_once_and_comes_to_the_same_predictions(
    mvkt: Any, copied: Path, finals_file: Path, tmp_path: Path
) -> None:
    whole = Path(shutil.copytree(copied, tmp_path / "undisturbed"))
    done = mvkt(*LINE, "--study", finals_file, whole, "--json")
    assert done.exit_code == 0, done.stderr
    expected = done.json

    line = (*LINE, "--study", finals_file, copied)
    kill_at("in a training", line)
    checkpoint = copied / "finals" / "01" / "trials" / "00002" / "checkpoint.pt"
    assert checkpoint.exists()
    assert not list(copied.rglob("*test.arrow"))
    status = mvkt("status", copied, "--json").json
    assert (status["n_running"], status["n_interrupted"]) == (0, 0)
    [finals] = status["finals"]
    assert (finals["n_ended"], finals["n_trainings"]) == (2, N_TRAININGS)
    assert (finals["n_running"], finals["n_interrupted"], finals["opened_at"]) == (0, 1, None)
    with holding(Location.parse(copied)):
        [finals] = mvkt("status", copied, "--json").json["finals"]
        assert (finals["n_running"], finals["n_interrupted"]) == (1, 0)
    assert "never opened" in mvkt("inspect", copied).stdout
    kill_at("between the opening and the first prediction", line)
    assert not list(copied.rglob("*test.arrow"))
    (begun,) = opened_of_begun(mvkt, line)
    assert begun["completed_at"] is None
    shown = " ".join(mvkt("status", copied).stdout.split())
    assert "finals 1 4 of 4 trainings have ended; the examination was interrupted" in shown
    assert "test split opened once at" in shown
    kill_at("between two predictions", line)
    written = {path: path.stat().st_ino for path in copied.rglob("*test.arrow")}
    # Several may be examined at once: those that are there are kept, and not all are.
    assert 1 <= len(written) <= N_TRAININGS
    done = mvkt(*line, "--json")
    assert done.exit_code == 0, done.stderr

    (opening,) = done.json["openings"]
    assert opening["opened_at"] == begun["opened_at"]
    assert opening["number"] == 1
    assert opening["completed_at"] is not None
    assert opening["predictions"] == expected["openings"][0]["predictions"]
    assert done.json["leads"] == expected["leads"]
    assert {path: path.stat().st_ino for path in written} == written
    assert len(list(copied.rglob("*test.arrow"))) == N_TRAININGS + 1
    assert opened(copied, mvkt) == [opening]
    assert mvkt("inspect", copied, "--json").json["openings"] == [opening]
    shown = " ".join(mvkt("inspect", copied).stdout.split())
    assert f"test split opened once at {opening['opened_at']}" in shown


def opened_of_begun(mvkt: Any, line: tuple[Any, ...]) -> list[Any]:
    return mvkt(*line, "--dry-run", "--json").json["openings"]


def test_it_says_what_came_out_and_refuses_a_second_time_without_a_reason(
    mvkt: Any, copied: Path
) -> None:
    before = mvkt("status", copied, "--json").json
    dry = mvkt("finalize", copied, "--in-process", "--seeds", 1, "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert "Nothing has been written." in dry.stdout
    assert "opened 0 times so far" in dry.stdout
    assert not (copied / "finals").exists()
    line = ("finalize", copied, "--in-process", "--seeds", 1)
    done = mvkt(*line)
    assert done.exit_code == 0, done.stderr
    assert "examination: 6 students and the teacher on" in done.stdout
    assert "macro AUROC on the test split" in done.stdout
    assert "opened once" in done.stdout
    assert shlex.join(["mvkt", "report", str(copied)]) in done.stdout
    for name in ("II", "V1", "chosen", "student_alone", "plain_kd"):
        assert name in done.stdout
    # The search is as it was, for `mvkt status` and for optuna-dashboard.
    after = mvkt("status", copied, "--json").json
    assert [each["examined"] for each in after["finals"]] == [True]
    assert after | {"finals": []} == before
    mvkt(*line).expect_wrong_input("opened once", "--again", "mvkt report")
    again = mvkt(*line, "--top-k", 1, "--refit", "--again", "a reviewer asked", "--json")
    assert again.exit_code == 0, again.stderr
    assert [each["reason"] for each in again.json["openings"]] == ["", "a reviewer asked"]
    assert (again.json["finals"], again.json["refit"]) == (2, True)
    plan = json.loads((copied / "finals" / "02" / "plan.json").read_bytes())
    assert (plan["reason"], len(plan["trainings"])) == ("a reviewer asked", 6)


def test_ctrl_c_prints_the_line_that_goes_on(
    mvkt: Any, copied: Path, finals_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = in_process.InProcess._run, list[Any]()  # pyright: ignore[reportPrivateUsage]

    def press_at_the_second(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args, **options)

    line = (*LINE, "--study", finals_file, copied, "--start-over")
    with monkeypatch.context() as patch:
        patch.setattr(in_process.InProcess, "_run", press_at_the_second)
        done = mvkt(*line)
    assert done.exit_code == 130
    (hint,) = [text for text in done.stderr.splitlines() if text.startswith(PREFIX)]
    assert "--resume" not in hint
    other = mvkt("finalize", "--in-process", "--seeds", 3, "--study", finals_file, copied)
    other.expect_wrong_input("finals.n_seeds (was 2, is 3)", "--start-over")
    resumed = mvkt(*shlex.split(hint.removeprefix(PREFIX)), "--json")
    assert resumed.exit_code == 0, resumed.stderr
    # Gone on with, not started over, although the line says --start-over.
    assert resumed.json["finals"] == 1
    assert [row["seeds"] for row in resumed.json["leads"]] == [[0, 1], [0, 1]]


MISTAKES: dict[str, tuple[tuple[Any, ...], tuple[str, ...]]] = {
    "no seeds": (("--seeds", 0), ("--seeds must be at least 1, got 0",)),
    "fewer than none": (("--top-k", -1), ("--top-k must be at least 0, got -1",)),
    "nothing to rank by": (("--top-k", 0), ("finals.answer is 'chosen'",)),
    "again before once": (("--again", "because"), ("has not been opened yet",)),
    "two runners": (("--address", "auto"), ("--in-process and --address 'auto'",)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_said_in_one_paragraph_and_nothing_is_written(
    mvkt: Any, study_dir: Path, mistake: str
) -> None:
    words, said = MISTAKES[mistake]
    mvkt("finalize", study_dir, "--in-process", *words).expect_wrong_input(*said)
    assert not (study_dir / "finals").exists()


def test_a_file_of_another_study_is_refused(mvkt: Any, study_dir: Path, tmp_path: Path) -> None:
    value = yaml.safe_load((study_dir / "study.yaml").read_text())
    value["teacher"]["epochs"] = 7
    path = tmp_path / "other.yaml"
    path.write_text(yaml.safe_dump(value))
    done = mvkt("finalize", study_dir, "--in-process", "--study", path)
    done.expect_wrong_input("teacher.epochs (was 2, is 7)", "`finals:`")


def test_a_folder_without_a_study_is_refused(mvkt: Any, tmp_path: Path) -> None:
    mvkt("finalize", tmp_path, "--in-process").expect_wrong_input("holds no study")


@dataclass
class FakeFinals:
    """Offers what the live table reads of finals."""

    records: list[TrialRecord]
    planned: tuple[Trial, ...]
    answer: str = "mkd"
    conditions: tuple[Condition, ...] = field(
        default=(Condition(leads=("I",)), Condition(leads=("II",)))
    )
    prices: PriceList = field(default_factory=lambda: PriceList(CostConfig()))
    spent: Spent = field(default_factory=Spent)

    @property
    def n_trials(self) -> int:
        return len(self.planned)

    def trials(self) -> list[TrialRecord]:
        return self.records


def training(number: int, lead: str, contender: str, seed: int) -> Trial:
    return Trial(
        number=number,
        condition=Condition(leads=(lead,)),
        arm=Arm.FINAL,
        hyperparameters={},
        repetition=seed,
        contender=contender,
    )


def ended(trial: Trial, macro_auroc: float) -> TrialRecord:
    state = TrialState.COMPLETE
    result = TrialResult(number=trial.number, state=state, macro_auroc=macro_auroc, wall_s=2.0)
    return TrialRecord(trial=trial, drawn={}, state=state, result=result)


def test_the_table_of_finals_shows_means_over_seeds_and_what_is_planned_for_each_lead() -> None:
    planned = (
        training(0, "I", "mkd", 0),
        training(1, "I", "alone", 0),
        training(2, "II", "mkd", 0),
        training(3, "I", "mkd", 1),
        training(4, "II", "mkd", 1),
    )
    records = [
        ended(planned[0], 0.8),
        ended(planned[1], 0.6),
        ended(planned[2], 0.9),
        ended(planned[3], 0.7),
        TrialRecord(trial=planned[4], drawn={}, state=TrialState.RUNNING),
    ]
    state = state_of(FakeFinals(records, planned), n_epochs=5)
    first, second = state.rows
    assert (first.n_planned, first.n_complete, first.best) == (3, 3, pytest.approx(0.75))
    assert (second.n_planned, second.best, second.student_alone) == (2, 0.9, None)
    assert first.student_alone == 0.6
    assert second.running == ((4, 0),)
    assert (state.best_name, state.n_trials, state.n_finished) == ("mkd", 5, 4)
    assert state.finished[3].condition == "I  mkd  seed 1"
