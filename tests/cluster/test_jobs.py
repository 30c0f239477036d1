"""A head and a node that `mvkt cluster start` has started here, and studies that are sent to it."""

import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from own_machine import HIDDEN, Machine, Network, asleep
from typer.testing import CliRunner

from mvkt_ray.cli import app
from tests.patience import PATIENCE_S, wait_until
from tests.ports import free_port, free_ports

pytestmark = [
    pytest.mark.ray,
    # Sockets that Ray's client leaves to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

N_TRIALS = 500
"""More than are trained until it is stopped."""

STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
        "source_options": {"n_recordings": 100, "duration_s": 3},
    },
    "view": {"crop_s": 1.0, "grid_s": 3.0, "stride_s": 5.0},
    "teacher": {"network": "sepconv1d_small", "epochs": 1, "batch_size": 32},
    "student": {"epochs": 2},
    "space": {
        "student": "sepconv1d_small",
        "batch_size": 32,
        "n_negatives": 8,
        "learning_rate": {"low": 0.003, "high": 0.03, "log": True},
    },
    "search": {"leads": ["II", "V1"], "n_trials": N_TRIALS, "pruner": {"kind": "none"}},
}

LINES_AS_FILES_APPEAR = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
for number in range(1, 10):
    while not (folder / f"{number}").exists():
        time.sleep(0.05)
    print(os.environ["WORD"], number, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    machine: Machine
    head: dict[str, Any]
    node: dict[str, Any]
    ports: list[int]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[1]}"


def marked(*names: str) -> list[int]:
    """Find the processes that belong to nodes, by what they inherit."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MVKT_RAY_NODE") in names:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    # Ray's sockets need a short path.
    folder = Path(tempfile.mkdtemp(prefix="mj-", dir="/tmp"))
    (folder / "home").mkdir()
    machine = Machine(folder)
    ports = free_ports(83)
    head_flags = ("--port", ports[0], "--dashboard-port", ports[1], "--client-port", ports[2])
    node_ports = [f"{ports[first]}-{ports[first + 39]}" for first in (3, 43)]
    names: list[str] = []
    log = folder / "node.log"
    supervised = None
    try:
        head = machine.json(
            *("cluster", "start", "--head", *head_flags),
            *("--node-ports", node_ports[0], "--cpus", 1, "--gpus", 0),
        )
        names.append(head["node"])
        # As a supervisor does it, which ends it by SIGTERM.
        supervised = machine.start(
            *("cluster", "start", "--join", head["address"], "--block", "--json"),
            *("--node-ports", node_ports[1], "--cpus", 1, "--gpus", 0),
            log=log,
        )
        wait_until("the node to join", lambda: log.read_text().endswith("}\n"))
        node = json.loads(log.read_text())
        names.append(node["node"])
        yield Cluster(machine, head, node, ports)
    finally:
        if supervised is not None:
            supervised.terminate()
            supervised.wait(PATIENCE_S)
        stopped = machine.json("cluster", "stop")["stopped"]
        left = marked(*names)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
    assert supervised is not None
    assert supervised.returncode == 0
    assert list(stopped) == [head["node"]], "the supervised node had ended by itself"
    assert left == [], "every process of the nodes is ended"


def test_a_token_is_made_that_only_its_owner_can_read_and_nobody_can_list(
    cluster: Cluster,
) -> None:
    path = Path(cluster.head["token_file"])
    assert path == cluster.machine.folder / "home" / ".ray" / "auth_token"
    assert path.stat().st_mode & 0o777 == 0o600
    token = path.read_text()
    for pid in marked(cluster.head["node"], cluster.node["node"]):
        assert token not in " ".join(psutil.Process(pid).cmdline())


@pytest.fixture
def asked_here(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, and in this process the environment of the machine.

    A command that only asks is quicker here: a process of its own takes seconds to import Ray.
    """
    for name in [name for name in os.environ if name.startswith(HIDDEN)]:
        monkeypatch.delenv(name)
    for name, value in cluster.machine.environment().items():
        monkeypatch.setenv(name, value)
    return cluster


def test_status_shows_the_head_and_the_node_that_joined(asked_here: Cluster) -> None:
    status = answer("cluster", "status", "--address", asked_here.url)
    assert [(node["is_head"], node["cpus"]) for node in status["nodes"]] == [(True, 1), (False, 1)]
    assert status["problems"] == []


def test_what_was_said_meanwhile_is_shown_once_after_the_network_and_the_laptop_slept(
    asked_here: Cluster, tmp_path: Path
) -> None:
    cluster, machine = asked_here, asked_here.machine
    program, go = tmp_path / "program.py", tmp_path / "go"
    program.write_text(LINES_AS_FILES_APPEAR)
    go.mkdir()
    job = "talks"
    send_program(cluster, job, f"exec python {program} {go}")
    network = Network(free_port(), cluster.ports[1])
    network.mend()
    log = tmp_path / "log.txt"
    line = ("cluster", "logs", job, "--follow", "--address", f"http://127.0.0.1:{network.port}")
    following = machine.start(*line, log=log)
    try:
        say(go, 1, 2)
        wait_until("the second line", lambda: "line 2\n" in log.read_text())
        network.cut()
        wait_until("the loss to be told", lambda: "lost the connection" in errors(log))
        say(go, 3, 4)
        network.mend()
        wait_until("the fourth line", lambda: "line 4\n" in log.read_text())
        with asleep(following):
            network.cut()
            say(go, 5, 6)
        say(go, 7)
        network.mend()
        wait_until("the seventh line", lambda: "line 7\n" in log.read_text())
        say(go, 8, 9)
        assert following.wait(PATIENCE_S) == 0
    finally:
        following.kill()
        network.cut()
    said = re.findall(r"^line (\d)$", log.read_text(), flags=re.MULTILINE)
    assert said == list("123456789")
    assert f"connected to http://127.0.0.1:{network.port} again" in errors(log)
    # From another machine, later: all of it, or from a line on.
    whole = said_by("cluster", "logs", job, "--address", cluster.url)
    assert [each for each in whole.splitlines() if each.startswith("line ")] == [
        f"line {number}" for number in range(1, 10)
    ]
    n_lines = whole.count("\n")
    rest = said_by("cluster", "logs", job, "--address", cluster.url, "--from-line", n_lines)
    assert rest == "line 9\n"


def test_a_study_is_sent_left_alone_stopped_and_taken_up(
    asked_here: Cluster, tmp_path: Path
) -> None:
    cluster, machine = asked_here, asked_here.machine
    out, log = tmp_path / "my runs", tmp_path / "log.txt"
    study = tmp_path / "tiny.yaml"
    study.write_text(yaml.safe_dump(STUDY))
    at = ("--address", cluster.url)
    line = ("cluster", "submit", study, "--out", out, *at)

    following = machine.start(*line, log=log)
    wait_until("a trial to end", lambda: f"[1/{N_TRIALS}" in log.read_text())
    following.send_signal(signal.SIGINT)
    assert following.wait(PATIENCE_S) == 130
    [job] = re.findall(r"^submitted (tiny-\d{8}-\d{6}) to", log.read_text(), flags=re.MULTILINE)
    assert f"mvkt cluster stop {job} --address {cluster.url}" in errors(log)
    assert answer("cluster", "status", job, *at)["state"] == "RUNNING"

    assert answer("cluster", "stop", job, *at)["state"] == "STOPPED"
    said = said_by("cluster", "logs", job, *at)
    assert "Interrupted; all progress is saved." in said
    assert "Traceback" not in said
    before = answer("status", out)
    n_trials = before["n_finished"] + before["n_interrupted"] + 1
    assert 1 < n_trials < N_TRIALS

    done = machine.run(*line, "--resume", "--max-trials", n_trials)
    assert re.search(r"^tiny-\d{8}-\d{6} is done after", done.stdout, flags=re.MULTILINE)
    state = answer("status", out)
    assert [trial["number"] for trial in state["trials"]] == list(range(n_trials))
    assert (state["n_finished"], state["n_running"]) == (n_trials, 0)
    jobs = answer("cluster", "status", *at)["jobs"]
    assert [each["state"] for each in jobs if each["job_id"].startswith("tiny-")] == [
        "STOPPED",
        "SUCCEEDED",
    ]


def test_local_files_that_the_line_and_the_study_name_are_there_in_the_job(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base = {
        **STUDY,
        "data": {**STUDY["data"], "task": "my task.yaml"},
        "search": {"leads": ["II"], "n_trials": 1, "baselines": []},
    }
    Path("base.yaml").write_text(yaml.safe_dump(base))
    Path("mine.yaml").write_text("base: base.yaml\nname: mine\n")
    classes = {"infarction": ["IMI", "AMI"], "healthy": ["NORM"]}
    Path("my task.yaml").write_text(yaml.safe_dump({"name": "mine", "classes": classes}))
    node = {"price_per_hour": 7.0, "cpus": 1}
    Path("prices of mine.yaml").write_text(
        yaml.safe_dump({"currency": "CHF", "node_types": {"mine": node}})
    )
    out = tmp_path / "out"
    line = ("cluster", "submit", "mine.yaml", "--address", cluster.url, "--out", out)
    done = cluster.machine.run(*line, "--prices", "prices of mine.yaml")
    assert re.search(r"^mine-\d{8}-\d{6} is done after", done.stdout, flags=re.MULTILINE)
    report = json.loads((out / "report" / "report.json").read_text())
    assert (report["task"], set(report["classes"])) == ("mine", set(classes))
    assert yaml.safe_load((out / "study.yaml").read_text())["resources"]["cost"] == {
        "currency": "CHF",
        "node_types": {"mine": {**node, "gpus": 0.0}},
    }


def test_a_job_that_fails_gives_its_exit_code(cluster: Cluster, tmp_path: Path) -> None:
    study = tmp_path / "tiny.yaml"
    study.write_text(yaml.safe_dump(STUDY))
    line = ("cluster", "submit", study, "--out", tmp_path / "out", "--address", cluster.url)
    done = cluster.machine.run(*line, "--folds", "all", expect=2)
    assert "Error: folds 'all'" in done.stdout
    assert "failed with exit code 2" in done.stdout


def test_wrong_input_is_refused_before_anything_is_sent(
    asked_here: Cluster, tmp_path: Path
) -> None:
    cluster = asked_here
    at = ("--address", cluster.url)
    wrong = tmp_path / "token"
    wrong.write_text("no such token")
    wrong.chmod(0o600)
    before = said_by("cluster", "status", *at)

    assert "has no job 'nope'" in refused("logs", "nope", *at)
    assert "does not accept the token" in refused("status", *at, "--token-file", wrong)
    nodes_port = f"http://{cluster.head['address']}"
    assert "not a Ray dashboard" in refused("status", "--address", nodes_port)
    join = ("start", "--join", cluster.head["address"])
    first, *_, last = free_ports(40)
    ports = ("--node-ports", f"{first}-{last}")
    assert "does not accept the token" in refused(*join, *ports, "--token-file", wrong)
    taken = refused(*join, "--node-ports", f"{cluster.ports[3]}-{cluster.ports[42]}")
    assert "are in use" in taken
    client = f"{cluster.head['address'].partition(':')[0]}:{cluster.ports[2]}"
    assert f"if so, write ray://{client}" in refused("start", "--join", client, *ports)
    study = tmp_path / "tiny.yaml"
    study.write_text(yaml.safe_dump({**STUDY, "n_trails": 1}))
    submit = ("submit", study, *at)
    assert "n_trails" in refused(*submit, "--out", "/shared/out")
    assert "relative to a folder of this machine" in refused(*submit, "--out", "out")
    study.write_text(yaml.safe_dump(STUDY))
    submit = (*submit, "--out", "/shared/out")
    assert "no prices.yaml cannot be read" in refused(*submit, "--prices", "no prices.yaml")
    assert "--like 'runs/0' is relative" in refused(*submit, "--like", "runs/0")
    assert "--tracker 'mlflow=mlruns' is" in refused(*submit, "--tracker", "mlflow=mlruns")
    assert said_by("cluster", "status", *at).count("\n") == before.count("\n")


def said_by(*words: object) -> str:
    """Run a command in this process and return its answer."""
    done = CliRunner().invoke(app, [*map(str, words)])
    assert done.exit_code == 0, done.output
    assert "Traceback" not in done.stderr
    return done.stdout


def answer(*words: object) -> Any:
    return json.loads(said_by(*words, "--json"))


def refused(*words: object) -> str:
    done = CliRunner().invoke(app, ["cluster", *map(str, words)])
    assert done.exit_code == 2, done.output
    (paragraph,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    return paragraph


def say(folder: Path, *numbers: int) -> None:
    for number in numbers:
        (folder / str(number)).touch()


def errors(log: Path) -> str:
    return log.with_suffix(".err").read_text()


def send_program(cluster: Cluster, job: str, entrypoint: str) -> None:
    """Send a job that is no search, as `submit` does."""
    from mvkt_ray.on_ray.jobs.jobs_api import JobRequest, open_jobs

    folder = cluster.machine.folder / "empty"
    folder.mkdir()
    request = JobRequest(
        job_id=job,
        entrypoint=entrypoint,
        folder=folder,
        variables={"WORD": "line"},
        requirements=None,
        notes={},
    )
    with open_jobs(cluster.url, Path(cluster.head["token_file"])) as jobs:
        jobs.submit(request)
