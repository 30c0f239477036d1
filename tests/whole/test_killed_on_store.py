"""Drivers of a study on an object store that die, each on a machine that nobody sees again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.config.study_file import study_from_mapping, write_study
from mvkt_ray.records import EpochMetrics, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.lease import LEASE, Lease, LeaseTimes
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from tests.object_store import S3Server
from tests.planned_search import plan_and_run

STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 60, "seed": 3, "duration_s": 4.0},
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 2, "batch_size": 16},
    "student": {"epochs": 3},
    # Else each study measures it, and two that are compared could come to different ones.
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 8,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {"leads": ["I", "V2"], "n_trials": 4, "baselines": [], "sampler": "random"},
}
CONFIG = study_from_mapping(STUDY, "tiny")

INSTANTS = (
    # The n-th request that puts something into a part of the study, after which the driver dies.
    ("teacher.partial/", 1),
    ("ledger/", 3),
    ("trials/", 4),
)


class Nobody:
    """A listener that does not listen."""

    def stage_started(self, stage: str, what: str) -> None: ...

    def stage_progress(self, done: int, total: int) -> None: ...

    def stage_epoch(self, metrics: EpochMetrics) -> None: ...

    def stage_finished(self, stage: str, what: str, reused: bool) -> None: ...

    def study_opened(self, study: Study) -> None: ...

    def study_changed(self) -> None: ...


@dataclass
class Cloud:
    """A bucket that stays, and machines that do not."""

    server: S3Server
    folder: Path
    study_file: Path
    root: Location
    drivers: list[subprocess.Popen[str]] = field(default_factory=list[Any])

    def start_driver(self) -> subprocess.Popen[str]:
        """Run the search on a new machine: with an empty disk for what it keeps for itself."""
        disk = self.folder / f"disk-{len(self.drivers)}"
        disk.mkdir()
        places = {"TMPDIR": disk, "MVKT_CACHE_DIR": disk / "cache"}
        environment = {**os.environ, **{name: str(path) for name, path in places.items()}}
        words = ["search", self.study_file, "--out", self.root, "--in-process", "--resume"]
        driver = subprocess.Popen(
            [sys.executable, "-m", "mvkt_ray", *map(str, words)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.drivers.append(driver)
        return driver

    def n_puts(self, part: str) -> int:
        key = f"{str(self.root).removeprefix('s3://ecg/')}/{part}"
        return sum(r.status == 200 for r in self.server.asked("PUT", key))

    def lose_machine(self) -> None:
        self.drivers[-1].kill()
        said, _ = self.drivers[-1].communicate()
        assert self.drivers[-1].returncode == -signal.SIGKILL, said
        shutil.rmtree(self.folder / f"disk-{len(self.drivers) - 1}")


@pytest.fixture
def cloud(s3_server: S3Server, tmp_path: Path) -> Iterator[Cloud]:
    study_file = tmp_path / "tiny.yaml"
    study_file.write_text(write_study(CONFIG))
    made = Cloud(s3_server, tmp_path, study_file, s3_server.make_bucket("ecg") / "runs/one")
    yield made
    for driver in made.drivers:
        driver.kill()
        driver.wait()
        assert driver.stdout is not None
        driver.stdout.close()


def numbers(folder: StudyFolder) -> list[Any]:
    _, study = open_study(folder)
    rows = [(r.trial, r.drawn, r.values, r.state, r.macro_auroc) for r in study.trials()]
    study.close()
    return rows


def test_a_search_whose_machines_are_lost_one_after_the_other_ends_with_the_same_trials(
    cloud: Cloud,
) -> None:
    never_killed = StudyFolder(Location.parse(cloud.folder / "study"))
    plan_and_run(CONFIG, never_killed, InProcess(), Nobody()).close()

    for part, n_puts in INSTANTS:
        already = cloud.n_puts(part)
        driver = cloud.start_driver()
        while cloud.n_puts(part) < already + n_puts:
            assert driver.poll() is None, driver.communicate()[0]
            # The server that it waits for runs in this process.
            time.sleep(0.05)
        cloud.lose_machine()
    driver = cloud.start_driver()
    said, _ = driver.communicate()
    assert driver.returncode == 0, said

    found = numbers(StudyFolder(cloud.root))
    assert [row[3] for row in found] == [TrialState.COMPLETE] * 4
    assert found == numbers(never_killed)


def test_a_second_driver_is_refused_and_changes_nothing(cloud: Cloud) -> None:
    folder = StudyFolder(cloud.root)
    fast = LeaseTimes(renewed_s=0.1)
    lease = Lease.take(folder.shipped_ledger, fast)
    words = ["search", str(cloud.study_file), "--out", str(cloud.root), "--in-process"]
    refused = CliRunner().invoke(app, words)
    lease.give_back()
    assert refused.exit_code == 2
    assert "one driver writes a study at a time" in refused.output
    assert f"process {os.getpid()}" in refused.output
    assert set(folder.root.names()) <= {"ledger", "logs"}
    assert folder.shipped_ledger.names() == [LEASE]
