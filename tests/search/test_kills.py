"""A driver that dies at any point: no trial is lost, doubled or left running, none decided anew."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import pytest

from mvkt_ray.config.search_config import ParameterConfig
from mvkt_ray.records import Arm, EpochMetrics, Trial, TrialResult, TrialState
from mvkt_ray.search.study import Study

if TYPE_CHECKING:
    from conftest import Lab, ServerLab

WRITES = (
    "create_new_trial",
    "set_trial_user_attr",
    "set_trial_intermediate_value",
    "set_trial_state_values",
)


class Killed(BaseException):
    """What a kill is to the code that it hits: no handler of Exceptions sees it."""


@pytest.fixture
def kill_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Let the driver live for so many writes to the database; None: for ever."""
    left: list[int | None] = [None]

    def dying(method: Callable[..., Any]) -> Callable[..., Any]:
        def write(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            if left[0] is not None:
                left[0] -= 1
                if left[0] <= 0:
                    raise Killed
            return result

        return write

    for name in WRITES:
        method = getattr(optuna.storages.RDBStorage, name)
        monkeypatch.setattr(optuna.storages.RDBStorage, name, dying(method))

    def set_life(n_writes: int | None) -> None:
        left[0] = n_writes

    return set_life


def run_in_lives(lab: "Lab", config: Any, kill_after: Callable[[int | None], None]) -> int:
    """Run a study by drivers that each die after their first write; return how many died."""
    n_dead = 0
    while True:
        kill_after(None)
        study = lab.open(config, resume=n_dead > 0)
        kill_after(1)
        try:
            lab.run(study)
        except Killed:
            study.close()
            n_dead += 1
        else:
            kill_after(None)
            return n_dead


BOTH = {"objectives": ("macro_auroc", "parameters")}


@pytest.mark.parametrize(
    "search",
    [{}, BOTH, {**BOTH, "sampler": "nsga2"}, {"sampler": "grid"}],
    ids=["tpe", "tpe for size, too", "nsga2", "grid"],
)
def test_a_driver_killed_after_every_write_ends_with_the_same_trials_and_decisions(
    lab: "Lab", kill_after: Callable[[int | None], None], search: dict[str, Any]
) -> None:
    asked = {"n_startup_trials": 2, "baselines": ("student_alone",), **search}
    config = lab.config(n_trials=8 if search.get("sampler") == "grid" else 9, **asked)
    config = replace(config, student=replace(config.student, epochs=3))
    if config.search.sampler == "grid":
        # Three points for each of two leads, and two baselines.
        rows = {
            "distill_temperature": ParameterConfig(choices=(1.0, 3.0, 7.0)),
            "kd_weight": ParameterConfig(value=1.0),
        }
        config = replace(config, space=rows)
    uninterrupted = lab.open(config, url="sqlite://")
    lab.run(uninterrupted)
    assert TrialState.PRUNED in {record.state for record in uninterrupted.trials()}

    n_dead = run_in_lives(lab, config, kill_after)

    # A driver died after every write: creation, values, decisions, result and state of each trial.
    n_values = sum(len(record.values) for record in uninterrupted.trials())
    n_decisions = sum(bool(record.decided_epoch) for record in uninterrupted.trials())
    n_trials = config.search.n_trials
    assert n_dead >= 3 * n_trials - 2 + n_values + n_decisions - n_trials
    after = lab.open(config, resume=True)
    assert lab.facts(after) == lab.facts(uninterrupted)
    theirs = optuna.load_study(study_name="lab", storage=lab.url).trials
    assert [trial.number for trial in theirs] == list(range(n_trials))
    assert all(trial.state.is_finished() for trial in theirs)


def test_a_driver_killed_while_several_trials_run_loses_doubles_and_redecides_nothing(
    lab: "Lab", kill_after: Callable[[int | None], None]
) -> None:
    config = lab.config(n_trials=12, sampler="random")
    n_writes, decided = 1, dict[tuple[int, int], Any]()
    is_over = False
    while not is_over:
        kill_after(None)
        study = lab.open(config, resume=n_writes > 1)
        kill_after(5 + n_writes % 7)
        n_writes += 1
        try:
            run_three_at_a_time(lab, study, decided)
            is_over = True
        except Killed:
            study.close()
    kill_after(None)
    records = lab.open(config, resume=True).trials()
    assert [record.number for record in records] == list(range(12))
    assert all(record.state in (TrialState.COMPLETE, TrialState.PRUNED) for record in records)
    assert len({str(record.drawn) for record in records if record.trial.arm is Arm.SEARCH}) == 8
    for record in records:
        end = max(epoch for number, epoch in decided if number == record.number)
        assert record.last_epoch == end


def run_three_at_a_time(lab: "Lab", study: Study, decided: dict[tuple[int, int], Any]) -> None:
    """Report an epoch of each of three trials in turn; a resumed one reports all its epochs."""
    running: dict[int, tuple[Trial, int]] = {}
    while True:
        while len(running) < 3 and (trial := study.ask()) is not None:
            running[trial.number] = (trial, 0)
        if not running:
            return
        for number, (trial, epoch) in list(running.items()):
            value = lab.curve.at(trial, epoch + 1)
            decision = study.report(number, EpochMetrics(epoch=epoch + 1, macro_auroc=value))
            assert decided.setdefault((number, epoch + 1), decision) is decision
            running[number] = (trial, epoch + 1)
            is_pruned = decision == "prune"
            if is_pruned or epoch + 1 == study.config.student.epochs:
                state = TrialState.PRUNED if is_pruned else TrialState.COMPLETE
                study.tell(
                    TrialResult(number=number, state=state, macro_auroc=value, epochs=epoch + 1)
                )
                del running[number]


DRIVER = """
    import os, signal, sys
    sys.path.insert(0, {tests!r})
    from pathlib import Path
    from conftest import Lab, ServerLab

    lab = Lab(Path({folder!r}))
    study = lab.open(lab.config(), resume=False)

    def die_in_the_middle() -> bool:
        if len(study.trials()) == 9:
            trial = study.ask()
            print("ready", flush=True)
            signal.pause()
        return False

    lab.run(study, until=die_in_the_middle)
"""


def test_a_process_killed_by_the_system_is_resumed_without_a_trace(lab: "Lab") -> None:
    code = textwrap.dedent(DRIVER).format(tests=str(Path(__file__).parent), folder=str(lab.folder))
    driver = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ}, text=True
    )
    assert driver.stdout is not None
    assert driver.stdout.readline() == "ready\n"
    driver.send_signal(signal.SIGKILL)
    assert driver.wait() == -signal.SIGKILL
    driver.stdout.close()

    resumed = lab.open(lab.config(), resume=True)
    assert [r.number for r in resumed.trials() if r.state is TrialState.RUNNING] == [9]
    lab.run(resumed)
    uninterrupted = lab.open(lab.config(), url="sqlite://")
    lab.run(uninterrupted)
    assert lab.facts(resumed) == lab.facts(uninterrupted)


@pytest.mark.parametrize(
    ("search", "write"),
    [({}, "set_study_user_attr"), (BOTH, "set_study_user_attr"), (BOTH, "set_study_system_attr")],
)
def test_a_study_whose_driver_died_before_it_began_is_begun(
    lab: "Lab", monkeypatch: pytest.MonkeyPatch, search: dict[str, Any], write: str
) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(optuna.storages.RDBStorage, write, die)
        with pytest.raises(Killed):
            lab.open(lab.config(**search))
    study = lab.open(lab.config(**search), resume=True)
    lab.run(study)
    assert len(study.trials()) == 14
    theirs = optuna.load_study(study_name="lab", storage=lab.url)
    assert theirs.metric_names == (list(search["objectives"]) if search else None)


def test_a_driver_killed_after_every_write_to_a_server_ends_as_one_of_a_file_that_lived(
    server_lab: "ServerLab", kill_after: Callable[[int | None], None]
) -> None:
    config = server_lab.config(n_trials=4, n_startup_trials=2, baselines=())
    config = replace(config, student=replace(config.student, epochs=3))
    uninterrupted = server_lab.open(config, url="sqlite://")
    server_lab.run(uninterrupted)

    n_dead = run_in_lives(server_lab, config, kill_after)

    assert n_dead >= 3 * config.search.n_trials
    after = server_lab.open(config, resume=True)
    assert server_lab.facts(after) == server_lab.facts(uninterrupted)


SERVER_DRIVER = """
    import os, signal, sys
    sys.path[:0] = [{tests!r}, {root!r}]
    from pathlib import Path
    import optuna
    from conftest import ServerLab

    lab = ServerLab(Path({folder!r}), server={url!r})
    study = lab.open(lab.config(), resume=True)
    left = {n_writes}

    def dying(write):
        def write_once_more(*args, **kwargs):
            global left
            result = write(*args, **kwargs)
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return write_once_more

    for name in {writes!r}:
        method = getattr(optuna.storages.RDBStorage, name)
        setattr(optuna.storages.RDBStorage, name, dying(method))
    lab.run(study)
"""


def test_processes_killed_by_the_system_leave_a_server_free_and_lose_nothing(
    server_lab: "ServerLab",
) -> None:
    """Nobody lets go of the lock: the server sees that its session has ended."""
    uninterrupted = server_lab.open(server_lab.config(), url="sqlite://")
    server_lab.run(uninterrupted)
    for n_writes in (5, 18):
        code = textwrap.dedent(SERVER_DRIVER).format(
            tests=str(Path(__file__).parent),
            root=str(Path(__file__).parents[2]),
            folder=str(server_lab.folder),
            url=server_lab.server,
            n_writes=n_writes,
            writes=WRITES,
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
    study = server_lab.open(server_lab.config(), resume=True)
    server_lab.run(study)
    assert server_lab.facts(study) == server_lab.facts(uninterrupted)
    assert server_lab.facts(server_lab.look()) == server_lab.facts(uninterrupted)
