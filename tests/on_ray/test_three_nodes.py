"""A cluster of three nodes with one CPU each, attached to as users do: by address and `ray://`."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import stand_ins
from own_cluster import announce_end, kill_node, own_cluster, wait_for_free_slots
from ray.cluster_utils import Cluster
from stand_ins import EPOCHS, make_inputs, open_study, plan, trained

from mvkt_ray.config.resources import ResourcesConfig, WorkersConfig
from mvkt_ray.errors import ClusterError, DataError
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.records import EpochMetrics, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger_database import reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from tests.patience import PATIENCE_S, wait_until
from tests.ports import free_port
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def client_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def cluster(client_port: int) -> Iterator[Cluster]:
    with own_cluster(3, ray_client_server_port=client_port) as cluster:
        yield cluster


def connect(address: str | None) -> OnRay:
    assert address is not None
    return OnRay.connect(
        address, run_trial=stand_ins.run_stand_in, train_teacher=stand_ins.teach_stand_in
    )


def table(study: Study) -> list[tuple[object, ...]]:
    found = study.trials()
    return [(record.trial, record.state, record.values, record.failures) for record in found]


def test_a_folder_that_the_nodes_do_not_see_is_refused_by_name(
    cluster: Cluster, tmp_path: Path
) -> None:
    with connect(cluster.address) as runner:
        assert "3 nodes with 3 CPUs" in runner.describe()
        # Somebody else's cluster is as Ray starts it, or as they told it to.
        [niceness] = set(runner.map(os.nice, [0]))
        assert runner.describe().endswith(f"workers at niceness {niceness}")
        study = open_study(tmp_path, 3)
        inputs = replace(make_inputs(tmp_path), shards=str(tmp_path / "elsewhere"))
        with pytest.raises(ClusterError, match=r"does not see .*elsewhere"):
            runner.run_trials(study, inputs, lambda: None)
        with pytest.raises(ClusterError, match=r"does not see .*elsewhere"):
            list(runner.map(abs, [-1], reading=[Location.parse(inputs.shards)]))
    assert study.trials() == ()


def test_two_searches_on_one_cluster_do_not_touch_each_other(
    cluster: Cluster, tmp_path: Path
) -> None:
    """One begins and ends while the other runs, and the next one outlives it."""
    folders = [tmp_path / name for name in ("first", "within", "after")]
    for folder in folders:
        folder.mkdir()
    first, within, after = folders
    for folder in (first, after):
        plan(folder, 0, epoch=2, do="wait")

    def search_in(folder: Path) -> subprocess.Popen[bytes]:
        line = [sys.executable, stand_ins.__file__, str(folder), "3", "new", str(cluster.address)]
        with (folder / "output.txt").open("wb") as output:
            return subprocess.Popen(line, stdout=output, stderr=subprocess.STDOUT)

    others: list[subprocess.Popen[bytes]] = []

    def run_others_once_it_waits() -> None:
        if others or not trained(first, 0):
            return
        others.append(search_in(within))
        assert others[0].wait() == 0, (within / "output.txt").read_text()
        others.append(search_in(after))
        wait_until("the third search to wait", lambda: trained(after, 0), others[1])
        (first / "go").touch()

    study = open_study(first, 3, max_concurrent=1)
    with connect(cluster.address) as runner:
        runner.run_trials(study, make_inputs(first), run_others_once_it_waits)
    study.close()
    assert others[1].poll() is None
    (after / "go").touch()
    assert others[1].wait() == 0, (after / "output.txt").read_text()
    for folder in folders:
        found = open_study(folder, 3, resume=True)
        assert [record.state for record in found.trials()] == [TrialState.COMPLETE] * 3
        assert [record.failures for record in found.trials()] == [()] * 3
        for number in range(3):
            assert [epoch for epoch, _ in trained(folder, number)] == list(range(1, EPOCHS + 1))
        assert not (folder / "ray").exists()
        found.close()


def test_a_killed_driver_is_followed_by_one_with_the_same_ledger_in_postgresql(
    cluster: Cluster, postgres: PostgresServer, tmp_path: Path
) -> None:
    """The table is that of a search that nobody interrupts, on three nodes or in one process."""
    plan(tmp_path, 0, epoch=2, do="wait")
    url, n_trials = postgres.make_database(), 4

    def drive(mode: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, stand_ins.__file__, str(tmp_path), str(n_trials), mode]
        with (tmp_path / f"{mode}.txt").open("wb") as output:
            line += [str(cluster.address), url]
            return subprocess.Popen(line, stdout=output, stderr=subprocess.STDOUT)

    killed = drive("new")
    try:
        wait_until("trial 0 to train an epoch", lambda: bool(trained(tmp_path, 0)), killed)
        wait_until("the others to end", lambda: len(trained(tmp_path, 3)) == EPOCHS, killed)
        [[_, worker]] = trained(tmp_path, 0)
    finally:
        killed.kill()
        killed.wait()
    psutil.wait_procs([psutil.Process(worker)] if psutil.pid_exists(worker) else [], PATIENCE_S)
    (tmp_path / "go").touch()
    assert drive("resume").wait() == 0, (tmp_path / "resume.txt").read_text()

    whole = open_study(tmp_path, n_trials)
    InProcess(run_trial=stand_ins.run_stand_in).run_trials(
        whole, make_inputs(tmp_path / "whole"), lambda: None
    )
    with reading(StudyFolder(Location.parse(tmp_path))) as ledger:
        assert ledger.server is not None
        found = open_study(tmp_path, n_trials, resume=True, ledger=ledger)
        assert table(found) == table(whole)
        found.close()
    for number in range(n_trials):
        assert [epoch for epoch, _ in trained(tmp_path, number)] == list(range(1, EPOCHS + 1))


def test_driven_by_ray_client_the_study_stays_with_the_client(
    cluster: Cluster, client_port: int, tmp_path: Path
) -> None:
    plan(tmp_path, 1, epoch=2, do="die")
    study = open_study(tmp_path, 8, prune=True)
    changes: list[int] = []
    address = f"ray://127.0.0.1:{client_port}"
    with connect(address) as runner:
        assert sorted(runner.map(abs, [-1, -2])) == [1, 2]
        runner.run_trials(study, make_inputs(tmp_path), lambda: changes.append(1))

        epochs: list[int] = []

        def on_epoch(metrics: EpochMetrics) -> None:
            epochs.append(metrics.epoch)

        out = Location.parse(tmp_path / "teacher")
        job: Any = stand_ins.StandInJob("raise", str(tmp_path))
        with pytest.raises(DataError, match="the teacher's recordings are wrong"):
            runner.train_teacher(job, out, on_epoch)
        assert epochs == [1, 2]
        runner.check(ResourcesConfig(teacher=WorkersConfig(workers=2)))
        with pytest.raises(DataError, match="the teacher's recordings are wrong"):
            runner.train_teacher(job, out, on_epoch)
        assert epochs == [1, 2, 1, 2]

    assert changes
    assert [record.state.is_finished for record in study.trials()] == [True] * 8
    assert len(study.trials()[1].failures) == 1
    # Later trials are worse; which of them meet a better one depends on who starts first.
    assert TrialState.PRUNED in {record.state for record in study.trials()}
    assert not ray.is_initialized()


def test_trials_run_on_every_node_and_outlive_one_that_vanishes_and_one_that_is_taken_back(
    cluster: Cluster, tmp_path: Path
) -> None:
    for number in range(3):
        plan(tmp_path, number, epoch=3, do="wait")
    study = open_study(tmp_path, 7)
    removed: list[str] = []

    def remove_a_node_once_all_three_work() -> None:
        working = all(len(trained(tmp_path, number)) == 2 for number in range(3))
        if working and not removed:
            taken_back, vanishing = cluster.worker_nodes
            removed.extend(node.node_id[:8] for node in (taken_back, vanishing))
            announce_end(taken_back)
            for node in (taken_back, vanishing):
                kill_node(cluster, node)
        if any(record.failures for record in study.trials()):
            (tmp_path / "go").touch()

    with connect(cluster.address) as runner:
        wait_for_free_slots(cluster, 3)
        runner.run_trials(study, make_inputs(tmp_path), remove_a_node_once_all_three_work)

    records = study.trials()
    assert [record.state for record in records] == [TrialState.COMPLETE] * 7
    for number in range(7):
        # From its checkpoint: no epoch was trained twice.
        assert [epoch for epoch, _ in trained(tmp_path, number)] == list(range(1, EPOCHS + 1))
    # What was announced is no failure.
    [lost] = [record for record in records if record.failures]
    assert lost.number < 3
    assert "WorkerLostError" in lost.failures[0]
    nodes = {record.result.node.split("/")[1] for record in records if record.result}
    logs = "".join((tmp_path / "trials" / f"{n:05d}" / "worker.log").read_text() for n in range(3))
    assert len(nodes) == 1
    assert all(node in logs for node in {*nodes, *removed}), "the first three had a node each"
