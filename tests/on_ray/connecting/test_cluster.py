import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from ray._private import services
from ray._private import worker as ray_worker
from ray.exceptions import (
    ActorUnavailableError,
    OutOfMemoryError,
    RayActorError,
    RaySystemError,
    RayTaskError,
)
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

import mvkt_ray
from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.errors import (
    ClusterError,
    DataError,
    MachineError,
    PreemptedError,
    WorkerLostError,
)
from mvkt_ray.on_ray.capacity.concurrency import check_plan
from mvkt_ray.on_ray.capacity.nodes import ClusterResources
from mvkt_ray.on_ray.connecting import cluster
from mvkt_ray.on_ray.connecting.cluster import connected
from mvkt_ray.on_ray.connecting.environment import environment, own_directory, own_token
from mvkt_ray.on_ray.connecting.node_check import (
    MOST_CLOCK_SKEW_S,
    _other_code,
    _probe_function,
    _skew,
)
from mvkt_ray.on_ray.ray_corrections import (
    as_death,
    memory_kills_are_deaths,
    nodes_may_start_slowly,
)
from mvkt_ray.on_ray.unwrap import lost, unwrapped
from mvkt_ray.slots import Node


def cluster_of(*nodes: tuple[float, float]) -> ClusterResources:
    return ClusterResources(nodes=tuple(Node(cpus=cpus, gpus=gpus) for cpus, gpus in nodes))


@pytest.mark.parametrize(
    ("nodes", "workers", "n_models"),
    [
        ([(2, 0)], WorkersConfig(), 2),
        ([(2, 0)], WorkersConfig(workers=2), 1),
        ([(2, 0)], WorkersConfig(cpus_per_worker=4), 0),
        # Two halves of different nodes are no whole.
        ([(3, 0), (3, 0)], WorkersConfig(cpus_per_worker=2), 2),
        ([(8, 1), (8, 1)], WorkersConfig(workers=2, gpus_per_worker=1), 1),
        ([(8, 1)], WorkersConfig(gpus_per_worker=0.25), 4),
        ([(8, 1)], WorkersConfig(gpus_per_worker=0.1), 8),
        ([(1, 0.3)], WorkersConfig(cpus_per_worker=0.1, gpus_per_worker=0.1), 3),
    ],
)
def test_a_cluster_holds_as_many_models_as_its_nodes_have_slots(
    nodes: list[tuple[float, float]], workers: WorkersConfig, n_models: int
) -> None:
    assert cluster_of(*nodes).holds(workers) == n_models


@given(
    cpus=st.lists(st.integers(0, 64), min_size=1, max_size=5),
    n_workers=st.integers(1, 8),
    per_worker=st.integers(1, 8),
)
def test_models_that_a_cluster_holds_never_reserve_more_than_there_is(
    cpus: list[int], n_workers: int, per_worker: int
) -> None:
    cluster = cluster_of(*((n, 0) for n in cpus))
    workers = WorkersConfig(workers=n_workers, cpus_per_worker=per_worker)
    assert cluster.holds(workers) * n_workers * per_worker <= cluster.cpus


def test_a_plan_with_more_gpus_than_there_are_is_refused_with_both_numbers() -> None:
    resources = ResourcesConfig(trial=WorkersConfig(workers=2, gpus_per_worker=4))
    with pytest.raises(ClusterError) as refused:
        check_plan(resources, cluster_of((16, 1), (32, 2)))
    text = str(refused.value)
    assert "resources.trial asks for 2 workers with 1 CPUs and 4 GPUs each" in text
    assert "2 nodes with 48 CPUs and 3 GPUs in all" in text
    assert "resources.trial.workers" in text


def test_a_plan_is_refused_for_its_teacher_too() -> None:
    resources = ResourcesConfig(teacher=WorkersConfig(cpus_per_worker=3))
    with pytest.raises(ClusterError, match=r"resources\.teacher"):
        check_plan(resources, cluster_of((2, 0)))
    check_plan(replace(resources, teacher=WorkersConfig()), cluster_of((2, 0)))


def test_a_cluster_that_is_not_there_is_one_paragraph() -> None:
    with pytest.raises(ClusterError, match="--address auto") as refused, connected("auto"):
        pass
    assert "\n" not in str(refused.value)
    assert not ray.is_initialized()


def test_the_token_is_for_its_owner_only_and_the_environment_is_restored() -> None:
    before = dict(os.environ)
    with own_directory() as directory, own_token(directory):
        path = os.environ["RAY_AUTH_TOKEN_PATH"]
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert os.environ["RAY_AUTH_MODE"] == "token"
    assert not directory.exists()
    assert dict(os.environ) == before


def test_leaving_ray_is_not_waited_for_longer_than_its_processes_live(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    monkeypatch.setattr(cluster, "LEFT_WITHIN_S", 0.01)
    monkeypatch.setattr(cluster, "_end_processes", lambda _: ended.set())
    monkeypatch.setattr(ray, "shutdown", ended.wait)
    cluster._disconnect(tmp_path)
    assert ended.is_set()


def test_the_directory_of_a_killed_process_goes_and_that_of_a_living_one_stays() -> None:
    with own_directory() as living:
        with own_directory() as killed:
            # What is left when nobody can clean up: the directory and a lock that nobody holds.
            kept = killed.with_name(f"{killed.name}x")
            kept.mkdir()
            (kept / "lock").touch()
        with own_directory():
            assert living.exists()
            assert not kept.exists()


def test_what_another_user_left_is_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/tmp")
    with own_directory() as directory:
        foreign = directory.with_name(f"{directory.name}f")
        foreign.mkdir()
        (foreign / "lock").touch()
    try:
        with monkeypatch.context() as other_user:
            other_user.setattr(os, "geteuid", lambda: os.getuid() + 1)
            with own_directory():
                assert foreign.exists()
        with monkeypatch.context() as closed:
            closed.setattr(Path, "exists", _refuse_locks(Path.exists))
            with own_directory():
                assert foreign.is_dir()
    finally:
        shutil.rmtree(foreign, ignore_errors=True)


def _refuse_locks(exists: Callable[[Path], bool]) -> Callable[[Path], bool]:
    """As it is in a folder of mode 0700 that belongs to somebody else."""

    def refuse(path: Path) -> bool:
        if path.name == "lock":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    return refuse


@pytest.mark.parametrize(
    "error",
    [
        Exception("The current node timed out during startup. This could happen because"),
        RuntimeError("Failed to start the GCS"),
        ValueError("not enough memory for the object store"),
        PermissionError(13, "Permission denied", "/dev/shm/x"),
        OSError(98, "Address already in use"),
        KeyError("GCS_SERVER_PORT"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_keeps_ray_from_starting_is_one_paragraph_and_leaves_no_process(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def fail(*_: object, _temp_dir: str, **options: object) -> None:
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)", f"--temp-dir={_temp_dir}"]
        started.append(subprocess.Popen(sleeper))
        raise error

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(ClusterError, match="Ray cannot start on this machine") as refused:
        with connected(None):
            pass
    assert str(error).strip("'").split(". ")[0] in str(refused.value)
    assert "--in-process" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not psutil.pid_exists(started[0].pid)
    # It is gone, and nobody waits for it any more.
    started[0].returncode = -9


def test_what_failed_to_start_is_ended_although_its_number_was_another_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numbers come again on a machine that has been busy; psutil then knows an older process."""
    started: list[subprocess.Popen[bytes]] = []

    def fail(*_: object, _temp_dir: str, **options: object) -> None:
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)", f"--temp-dir={_temp_dir}"]
        started.append(subprocess.Popen(sleeper))
        older = psutil.Process(started[0].pid)
        monkeypatch.setattr(older, "_ident", (older.pid, older.create_time() - 100))
        monkeypatch.setitem(vars(psutil)["_pmap"], older.pid, older)
        raise RuntimeError("Failed to start the GCS")

    monkeypatch.setattr(ray, "init", fail)
    with pytest.raises(ClusterError, match="Ray cannot start on this machine"):
        with connected(None):
            pass
    assert not psutil.pid_exists(started[0].pid)
    # It is gone, and nobody waits for it any more.
    started[0].returncode = -9


def test_what_failed_to_start_is_ended_although_it_had_no_command_line_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Linux shows none of a process for an instant, after `Popen` has returned."""
    started: list[subprocess.Popen[bytes]] = []
    hidden = [True, True]
    read_command_line = psutil.Process.cmdline

    def cmdline(process: psutil.Process) -> list[str]:
        is_new = started and process.pid == started[0].pid
        return [] if is_new and hidden and hidden.pop() else read_command_line(process)

    def fail(*_: object, _temp_dir: str, **options: object) -> None:
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)", f"--temp-dir={_temp_dir}"]
        started.append(subprocess.Popen(sleeper))
        raise RuntimeError("Failed to start the GCS")

    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(psutil.Process, "cmdline", cmdline)
    with pytest.raises(ClusterError, match="Ray cannot start on this machine"):
        with connected(None):
            pass
    assert not hidden
    assert not psutil.pid_exists(started[0].pid)
    # It is gone, and nobody waits for it any more.
    started[0].returncode = -9


def test_a_temporary_folder_that_cannot_be_made_is_the_same_paragraph(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none_usable() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    with pytest.raises(ClusterError, match=r"cannot start on this machine.*No usable temporary"):
        with connected(None):
            pass


def answer(folder: str, sha256: str, version: str = "0.1.0") -> dict[str, Any]:
    """What a node says of itself, as far as its code goes."""
    return {
        "versions": {"mvkt-ray": version},
        "code": {"folder": folder, "sha256": sha256},
    }


@given(
    folders=st.tuples(*[st.sampled_from(["/venv/mvkt_ray", "/checkout/mvkt_ray"])] * 2),
    hashes=st.tuples(*[st.sampled_from(["a" * 64, "b" * 64])] * 2),
    is_own=st.booleans(),
)
def test_other_code_is_told_and_the_same_code_may_lie_elsewhere_on_other_nodes(
    folders: tuple[str, str], hashes: tuple[str, str], is_own: bool
) -> None:
    theirs, here = (answer(*each) for each in zip(folders, hashes, strict=True))
    problems = _other_code("h/1", theirs, here, is_own=is_own)
    differs = hashes[0] != hashes[1] or (is_own and folders[0] != folders[1])
    assert bool(problems) == differs
    for problem in problems:
        assert all(each in problem for each in (*folders, hashes[0][:12], hashes[1][:12]))
    other_version = answer(folders[0], hashes[0], "0.0.9")
    assert _other_code("h/1", other_version, here, is_own=is_own) == []


def test_a_node_tells_where_its_code_is_and_the_hash_of_all_its_sources() -> None:
    code = _probe_function()((), ())["code"]
    assert code["folder"] == str(Path(mvkt_ray.__file__).parent)
    assert len(code["sha256"]) == 64


def test_environment_comes_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVKT_A", "old")
    with pytest.raises(KeyError), environment({"MVKT_A": "new", "MVKT_B": "new"}):
        raise KeyError
    assert os.environ["MVKT_A"] == "old"
    assert "MVKT_B" not in os.environ


class Recorder:
    """As much of Tune's actor manager as deciding on an error takes."""

    def __init__(self) -> None:
        from ray.air.execution._internal.actor_manager import RayActorManager

        self.errors: list[Exception] = []
        self.manager = RayActorManager.__new__(RayActorManager)
        self.manager._failed_actor_ids = set()
        self.manager._cleanup_actor = lambda tracked_actor: None  # type: ignore[method-assign]

    def fail(self, error: Exception) -> None:
        class Task:
            _on_error = None

        class Actor:
            actor_id = 1

        task, actor = Task(), Actor()
        task._tracked_actor = actor  # type: ignore[attr-defined]
        actor._on_error = lambda _, error: self.errors.append(error)  # type: ignore[attr-defined]
        self.manager._actor_task_failed(tracked_actor_task=task, exception=error)  # type: ignore[arg-type]


def test_tune_still_ends_a_search_when_the_memory_monitor_kills_a_trial() -> None:
    # When this fails, Ray has mended it, and ray_corrections.py can lose it.
    with pytest.raises(RuntimeError, match="unexpected exception"):
        Recorder().fail(OutOfMemoryError("the node is low on memory"))


def test_with_the_correction_it_is_a_process_that_died() -> None:
    recorder = Recorder()
    with memory_kills_are_deaths():
        recorder.fail(OutOfMemoryError("the node is low on memory"))
    [error] = recorder.errors
    assert isinstance(error, RayActorError)
    assert "OutOfMemoryError: the node is low on memory" in str(error)
    same = RayActorError(error_msg="gone")
    assert as_death(same) is same


def looks_for_a_node(monkeypatch: pytest.MonkeyPatch, until: int) -> list[str]:
    """Let a node be there from some look on, and return where the looks are counted."""
    looks: list[str] = []

    def get_node(_: str, node_id: str) -> dict[str, str]:
        looks.append(node_id)
        if len(looks) < until:
            raise RuntimeError("no such node")
        return {"node_id": node_id}

    monkeypatch.setattr(services, "get_node", get_node)
    return looks


def test_a_node_that_is_slow_to_start_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = looks_for_a_node(monkeypatch, until=3)
    with nodes_may_start_slowly():
        assert services.get_node("gcs", "a node") == {"node_id": "a node"}
    assert looks == ["a node"] * 3


def test_a_node_whose_raylet_has_ended_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    looks = looks_for_a_node(monkeypatch, until=sys.maxsize)
    ends_at_once = tmp_path / "raylet"
    ends_at_once.write_text("#!/bin/sh\n")
    ends_at_once.chmod(0o700)
    with nodes_may_start_slowly(), subprocess.Popen([ends_at_once]):
        with pytest.raises(RuntimeError, match="no such node"):
            services.get_node("gcs", "a node")
    assert looks


def test_agents_that_are_slow_to_say_their_ports_are_told_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A raylet gives each 15 s to write its port down: on a busy machine that is too little."""
    started: list[tuple[int, ...]] = []

    def start_raylet(
        node_id: str,
        session_dir: str,
        *,
        metrics_agent_port: int,
        metrics_export_port: int,
        runtime_env_agent_port: int,
        dashboard_agent_listen_port: int,
        env_updates: dict[str, str] | None = None,
    ) -> None:
        started.append((runtime_env_agent_port, metrics_agent_port, metrics_export_port))
        # The raylet is not told of this one otherwise.
        [written] = tmp_path.iterdir()
        assert written.name == f"dashboard_agent_listen_port_{node_id}"
        assert written.read_text() == str(dashboard_agent_listen_port)

    monkeypatch.setattr(services, "start_raylet", start_raylet)
    asked = {"metrics_agent_port": 0, "metrics_export_port": None, "runtime_env_agent_port": 24000}
    with nodes_may_start_slowly():
        services.start_raylet(28 * "a0", str(tmp_path), **asked, dashboard_agent_listen_port=0)
    [(given, *chosen)] = started
    assert given == 24000
    assert len(set(chosen)) == 2
    assert all(1024 < port < 32_768 for port in chosen)


def test_errors_come_back_as_themselves() -> None:
    ours = DataError("no such lead")
    assert unwrapped(RayTaskError("f", "remote traceback", ours)) is ours
    defect = KeyError("x")
    found = unwrapped(RayTaskError("f", "remote traceback", defect))
    assert found is defect
    assert "remote traceback" in found.__notes__[0]
    gone = unwrapped(ActorUnavailableError("the node is away", None))
    assert isinstance(gone, WorkerLostError)
    assert gone.retriable
    preempted = RayActorError(error_msg="The actor died unexpectedly.", preempted=True)
    for error in (preempted, WorkerHealthCheckFailedError("a rank is gone", preempted)):
        assert isinstance(lost(error), PreemptedError)
    assert not isinstance(gone, PreemptedError)


@pytest.mark.parametrize(
    "error",
    [
        RayActorError(
            error_msg="The actor died because of an error raised in its creation task, ray::A()\n"
            '  File "worker.py", line 3, in <module>\n'
            "ModuleNotFoundError: No module named 'wfdb.io'; 'wfdb' is not a package"
        ),
        RaySystemError("No module named 'wfdb.io'; 'wfdb' is not a package", "Traceback"),
        RayTaskError(
            "f",
            "Traceback\nModuleNotFoundError: No module named 'wfdb.io'; 'wfdb' is not a package",
            RuntimeError("The remote function failed to import on the worker."),
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_worker_that_cannot_import_is_told_by_that_and_not_as_short_of_memory(
    error: Exception,
) -> None:
    found = unwrapped(error)
    assert isinstance(found, MachineError)
    assert "No module named 'wfdb.io'" in str(found)
    assert "memory" not in str(found)


def test_a_process_that_died_is_told_by_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Node:
        def get_logs_dir_path(self) -> str:
            return str(tmp_path)

    monkeypatch.setattr(ray_worker, "_global_node", Node())
    died = RayActorError(error_msg="The actor died unexpectedly.\n\tclass_name: T\n\tpid: 4711\n")
    assert "usual causes" in str(unwrapped(died))
    log = tmp_path / "worker-0a1b-01000000-4711.err"
    log.write_text("Traceback (most recent call last):\nImportError: libcudart.so.12: no such\n")
    assert str(unwrapped(died)).endswith("ImportError: libcudart.so.12: no such")
    assert isinstance(unwrapped(died), WorkerLostError)


@given(
    asked=st.floats(0, 1e6), took=st.floats(0, 120), at=st.floats(0, 1), skew=st.floats(-1e4, 1e4)
)
def test_a_clock_is_told_to_be_wrong_only_if_it_is(
    asked: float, took: float, at: float, skew: float
) -> None:
    """Whenever in between the node read its clock: no false alarm, and no large skew is missed."""
    problems = _skew("n", asked + at * took + skew, asked, asked + took)
    if abs(skew) <= MOST_CLOCK_SKEW_S:
        assert not problems
    if abs(skew) > MOST_CLOCK_SKEW_S + took + 1e-6:
        [problem] = problems
        assert ("behind" if skew < 0 else "ahead of") in problem
