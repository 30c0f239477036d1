"""Exit codes: what a user sees when something is wrong, and when it is our fault."""

import errno
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner

from mvkt_ray.cli import app as real_app
from mvkt_ray.cli.failures import MvktGroup, resume_line
from mvkt_ray.errors import ClusterError, ConfigError, MachineError, MvktError, TrialDivergedError

runner = CliRunner()


def app_that(action: Callable[[], None]) -> typer.Typer:
    app = typer.Typer(cls=MvktGroup, pretty_exceptions_enable=False)

    @app.callback()
    def options(debug: bool = False) -> None:
        return None

    for name in ("search", "status"):
        app.command(name)(action)
    return app


def raising(error: BaseException) -> Callable[[], None]:
    def action(resume: bool = False, out: str = "") -> None:
        raise error

    return action


@pytest.mark.parametrize("error", [ConfigError, ClusterError, MvktError])
def test_a_users_error_is_one_paragraph_and_exit_code_2(error: type[MvktError]) -> None:
    done = runner.invoke(
        app_that(raising(error("n_trials is 0,\n must be > 0. Set it."))), ["search"]
    )
    assert done.exit_code == 2
    assert done.stderr == "Error: n_trials is 0, must be > 0. Set it.\n"
    assert done.stdout == ""


def test_text_in_brackets_is_not_taken_for_markup() -> None:
    done = runner.invoke(app_that(raising(ConfigError("leads are [red] and [/]"))), ["search"])
    assert done.stderr == "Error: leads are [red] and [/]\n"


def test_a_trial_that_cannot_go_on_is_a_failure_not_wrong_input() -> None:
    done = runner.invoke(app_that(raising(TrialDivergedError("The teacher diverged."))), ["search"])
    assert done.exit_code == 1
    assert done.stderr == "Error: The teacher diverged.\n"


def test_a_machine_that_fails_is_no_wrong_input() -> None:
    done = runner.invoke(app_that(raising(MachineError("The disk is full."))), ["search"])
    assert done.exit_code == 1
    assert done.stderr == "Error: The disk is full.\n"


def test_an_exception_whose_root_is_the_machine_is_a_paragraph_not_a_traceback() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/study/ledger.db")
    defect = RuntimeError("could not write")
    defect.__cause__ = full
    done = runner.invoke(app_that(raising(defect)), ["search"])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: The machine fails: [Errno 28] No space left on device")
    assert "Traceback" not in done.stderr
    assert "Traceback" in runner.invoke(app_that(raising(defect)), ["--debug", "search"]).stderr


def test_a_defect_is_a_traceback_and_exit_code_1() -> None:
    done = runner.invoke(app_that(raising(ZeroDivisionError("oh"))), ["search"])
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: oh" in done.stderr


@pytest.mark.parametrize("line", [["--debug", "search"], ["search", "--debug"]])
def test_debug_shows_the_traceback_of_a_users_error_wherever_it_stands(line: list[str]) -> None:
    done = runner.invoke(app_that(raising(ConfigError("wrong"))), line)
    assert done.exit_code == 2
    assert "Traceback" in done.stderr
    assert done.stderr.endswith("Error: wrong\n")


def test_an_interruption_prints_the_line_that_goes_on() -> None:
    app = app_that(raising(KeyboardInterrupt()))
    done = runner.invoke(app, ["search", "--out", "my study"])
    assert done.exit_code == 130
    expected = (
        "Interrupted; all progress is saved. Resume with: mvkt search --out 'my study' --resume"
    )
    assert done.stderr.strip() == expected


def test_an_interruption_of_a_verb_without_state_promises_nothing() -> None:
    done = runner.invoke(app_that(raising(KeyboardInterrupt())), ["status"])
    assert done.exit_code == 130
    assert done.stderr.strip() == "Interrupted."


def test_the_line_to_resume_has_resume_once_and_no_debug() -> None:
    assert resume_line(["--debug", "search", "s.yaml", "--resume"]) == "mvkt search s.yaml --resume"


def test_verbs_that_promise_to_resume_have_the_option() -> None:
    from mvkt_ray.cli.failures import RESUMABLE_VERBS

    for verb in RESUMABLE_VERBS:
        done = runner.invoke(real_app, [verb, "--help"])
        assert "--resume" in done.stdout


@pytest.mark.parametrize("line", [["nosuchverb"], ["verify"], ["verify", "x", "--nope"]])
def test_a_line_that_cannot_be_parsed_is_wrong_input(line: list[str]) -> None:
    done = runner.invoke(real_app, line)
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_the_version_is_that_of_the_package() -> None:
    import mvkt_ray

    done = runner.invoke(real_app, ["--version"])
    assert done.exit_code == 0
    assert done.stdout == f"mvkt-ray {mvkt_ray.__version__}\n"
