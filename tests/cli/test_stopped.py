"""The program as a process that a batch system, a service manager or `kill` stops."""

import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.patience import PATIENCE_S, wait_until

HINT = "Interrupted; all progress is saved. Resume with: "


@contextmanager
def started(*command: object, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as a script does with `&`: SIGINT is ignored from the beginning."""
    shell = ["bash", "-c", 'trap "" INT; exec "$@"', "bash"]
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [*shell, *map(str, command)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "runner"),
    [
        pytest.param(signal.SIGINT, ["--in-process"], id="in-process"),
        pytest.param(signal.SIGTERM, [], id="on Ray", marks=pytest.mark.ray),
    ],
)
def test_a_search_in_the_background_stops_cleanly_when_it_is_told_to(
    mvkt: Any,
    study_dir: Path,
    shards: Path,
    home: Path,
    tmp_path: Path,
    number: signal.Signals,
    runner: list[str],
) -> None:
    out, output = tmp_path / "study", tmp_path / "output.txt"
    line = ["search", home / "tiny.yaml", "--data", shards, "--out", out]
    line += ["--teacher", study_dir / "teacher", "--max-trials", 5000, *runner]
    with started(sys.executable, "-m", "mvkt_ray", *line, output=output) as process:
        wait_until("a trial", lambda: "trial 0" in output.read_text(), process)
        rays = psutil.Process(process.pid).children(recursive=True)
        assert bool(rays) == (runner == [])
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 130, output.read_text()
    _, alive = psutil.wait_procs(rays, timeout=PATIENCE_S)
    assert alive == []
    said = output.read_text()
    assert "Traceback" not in said
    assert said.splitlines()[-1] == HINT + shlex.join(["mvkt", *map(str, line), "--resume"])
    state = mvkt("status", out, "--json").json
    assert state["n_finished"] > 0
    n_trials = max(5, len(state["trials"]) + 1)
    resumed = mvkt("search", "--resume", "--out", out, "--in-process", "--max-trials", n_trials)
    assert resumed.exit_code == 0, resumed.stderr


STUBBORN = """
    from mvkt_ray.cli import stopping

    stopping.SAME_REQUEST_S = {same_request_s}
    with stopping.stopping_cleanly():
        try:
            print("running", flush=True)
            while True:
                pass
        except KeyboardInterrupt:
            print("stopping", flush=True)
            input()
    print("stopped", flush=True)
"""


@contextmanager
def stubborn(same_request_s: float) -> Iterator[subprocess.Popen[str]]:
    """Start a process that has got a SIGTERM and takes long to stop."""
    code = textwrap.dedent(STUBBORN).format(same_request_s=same_request_s)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    with stubborn(same_request_s=0.0) as process:
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == -number


def test_a_signal_that_comes_twice_at_once_is_one_request() -> None:
    with stubborn(same_request_s=3600.0) as process:
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate("\n")
        assert said == "stopped\n"
        assert process.returncode == 0


LOST = """
    import signal

    from mvkt_ray.cli import stopping

    class Connection:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)

    with stopping.stopping_cleanly():
        try:
            Connection()
            signal.pause()
        except KeyboardInterrupt:
            print("stopping", flush=True)
"""


def test_a_signal_is_obeyed_although_it_came_while_an_object_was_destroyed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LOST)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("stopping\n", "", 0)
