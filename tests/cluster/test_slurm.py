"""The batch script, rendered and run by a real Slurm of two nodes on this machine."""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from own_slurm import PROGRAMS, OwnSlurm, own_slurm
from rendering import rendered

from mvkt_ray.errors import ConfigError
from mvkt_ray.records import TrialState
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.trial_record import TrialRecord
from mvkt_ray.storage.location import Location
from tests.patience import wait_until

N_TRIALS = 24

STUDY = f"""\
name: tiny
data:
  source: synthetic
  source_options: {{n_recordings: 100, duration_s: 3}}
  task: synthetic
  folds: {{train: [1, 2, 3, 4, 5, 6], val: [7, 8, 9], test: [10]}}
view: {{crop_s: 1.0, grid_s: 3.0, stride_s: 5.0}}
teacher: {{network: sepconv1d_small, epochs: 1, batch_size: 32}}
student: {{epochs: 5}}
space:
  student: sepconv1d_small
  batch_size: 32
  n_negatives: 8
  learning_rate: {{low: 0.003, high: 0.03, log: true}}
search: {{leads: [II, V1], n_trials: {N_TRIALS}, pruner: {{kind: none}}}}
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A search that was handed to Slurm."""

    slurm: OwnSlurm
    number: int
    folder: Path

    @property
    def log(self) -> str:
        path = self.folder / f"tiny-{self.number}.log"
        return path.read_text() if path.exists() else ""

    @property
    def state(self) -> str:
        return self.slurm.job(self.number)["JobState"]

    def wait_for(self, text: str) -> None:
        """Wait until the job has said something."""

        def said() -> bool:
            assert "failed" not in self.log, self.log
            return text in self.log

        wait_until(text, said)

    def wait_until_it_ends(self) -> str:
        ends = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")
        wait_until("the job to end", lambda: self.state in ends)
        return self.state

    def trials(self) -> list[TrialRecord]:
        """Read the ledger, beside the driver that writes it."""
        folder = StudyFolder(Location.parse(self.folder / "out"))
        if not folder.ledger.exists():
            return []
        ledger = Ledger.find(LedgerDatabase(folder.ledger_url), "tiny")
        if ledger is None:
            return []
        try:
            return list(ledger.records)
        finally:
            ledger.close()

    def nodes(self) -> set[str]:
        """Nodes of Ray's that trials have ended on; their names are new at each start."""
        return {record.result.node for record in self.trials() if record.result is not None}

    def stop_in_time(self) -> None:
        """Tell the script what Slurm tells it when its time is nearly up."""
        self.slurm.run("scancel", "--signal=USR1", "--batch", self.number)


@pytest.fixture(scope="module")
def slurm() -> Iterator[OwnSlurm]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        pytest.skip(f"Slurm is not installed: no {', '.join(missing)}; .ci/run installs it")
    with own_slurm() as running:
        yield running


def submit(slurm: OwnSlurm, folder: Path, **settings: str) -> Job:
    study = folder / "study.yaml"
    study.write_text(STUDY)
    own = {"nodes": "2", "cpus_per_node": "1", "gpus_per_node": "1", "gpu": "A100"}
    where = {"data": "", "out": str(folder / "out"), "venv": sys.prefix}
    script = folder / "search.sbatch"
    script.write_text(rendered("slurm", study, **own, **where, **settings))
    number = slurm.run("sbatch", "--parsable", script, cwd=folder)
    return Job(slurm, int(number), folder)


@pytest.mark.ray
def test_a_job_whose_time_is_up_comes_back_and_ends_the_search(
    slurm: OwnSlurm, tmp_path: Path
) -> None:
    job = submit(slurm, tmp_path, time="60")
    # Who opens a ledger too early makes it, beside the driver.
    job.wait_for("  complete  ")
    wait_until("both nodes to end a trial", lambda: len(job.nodes()) == 2)
    job.stop_in_time()
    job.wait_for("queued again")
    begun = {record.number for record in job.trials() if record.state is TrialState.COMPLETE}
    assert 0 < len(begun) < N_TRIALS
    # Slurm waits two minutes, in which whatever was started before comes to its end. It counts in
    # seconds: in the one in which it ended the first start it would start no second one.
    wait_until("its nodes to be free", lambda: job.state == "PENDING" and slurm.is_idle())
    slurm.run("scontrol", "update", f"JobId={job.number}", "StartTime=now+3")

    assert job.wait_until_it_ends() == "COMPLETED", job.log + slurm.log()
    assert slurm.job(job.number)["Restarts"] == "1"
    assert slurm.job(job.number)["ExitCode"] == "0:0"
    records = job.trials()
    assert [record.number for record in records] == list(range(N_TRIALS))
    assert {record.state for record in records} == {TrialState.COMPLETE}
    assert len(job.nodes()) > 2, "both nodes did trials, and a new one after that"
    said = re.findall(r"job \d+: (start \d|all nodes|the time|queued|done)", job.log)
    first = ["start 1", "all nodes", "the time", "queued"]
    assert said == [*first, "start 2", "all nodes", "done"]
    assert list(Path("/tmp").glob(f"mvkt-{job.number}-*")) == []


def test_a_job_that_came_back_too_often_fails_and_says_so(slurm: OwnSlurm, tmp_path: Path) -> None:
    job = submit(slurm, tmp_path, max_restarts="0")
    job.wait_for("start 1")
    job.stop_in_time()
    assert job.wait_until_it_ends() == "FAILED"
    assert "which is the limit; go on with sbatch" in job.log
    assert list(Path("/tmp").glob(f"mvkt-{job.number}-*")) == []


def test_a_cancelled_job_stays_away(slurm: OwnSlurm, tmp_path: Path) -> None:
    job = submit(slurm, tmp_path)
    job.wait_for("start 1")
    slurm.run("scancel", job.number)
    assert job.wait_until_it_ends() == "CANCELLED"
    assert "queued again" not in job.log


def test_a_job_without_nodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nodes=0"):
        rendered("slurm", nodes="0")
