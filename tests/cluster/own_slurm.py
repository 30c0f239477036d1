"""A Slurm of two nodes on this machine: munged, slurmctld and two slurmd of our own.

Everything of it lies in one folder, its ports are free ones, and it is ended by process ids; a
Slurm that is installed and runs here already is not touched.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.patience import wait_until
from tests.ports import free_ports

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "scontrol", "squeue", "srun")
NODES = ("n1", "n2")

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}
SlurmctldPort={ctld_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
JobRequeue=1
FirstJobId={first_job}
ReturnToService=2
KillWait=10
MinJobAge=3600
GresTypes=gpu
NodeName=DEFAULT CPUs=1 RealMemory=1000 Gres=gpu:a100:1
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1_port}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2_port}
PartitionName=test Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""

# Slurm never opens the file of a GPU itself; a number comes from its name, or from its platform.
GRES = "NodeName=n[1-2] Name=gpu Type=a100 File=/dev/null\n"


class OwnSlurm:
    """Runs Slurm's tools against it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "SBATCH_"))},
            "SLURM_CONF": str(folder / "slurm.conf"),
            # What the job runs is this checkout, one thread at a time.
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "OMP_NUM_THREADS": "1",
            # Ray's default lets workers starve beside anything else that runs on the machine.
            "RAY_worker_niceness": "0",
        }

    def run(self, *command: object, cwd: Path | None = None) -> str:
        """Run one of Slurm's tools, and return what it says."""
        done = subprocess.run(
            [str(word) for word in command],
            env=self._environment,
            cwd=cwd,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def job(self, number: int) -> dict[str, str]:
        """Return what Slurm knows of a job, by Slurm's own names."""
        words = self.run("scontrol", "show", "--oneliner", "job", number).split()
        return dict(word.split("=", maxsplit=1) for word in words if "=" in word)

    def is_idle(self) -> bool:
        """Whether it answers, and all nodes have nothing to do or to clean up."""
        with contextlib.suppress(AssertionError):
            states = self.run("sinfo", "--noheader", "--Node", "--format=%T").split()
            return states == ["idle"] * len(NODES)
        return False

    def log(self) -> str:
        """Return what its daemons have logged."""
        return "\n".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def end_jobs(self) -> None:
        """Cancel all jobs, and wait until their processes are gone."""
        for number in self._jobs():
            self.run("scancel", number)
        wait_until("the jobs to end", lambda: not self._jobs())

    def _jobs(self) -> list[str]:
        return self.run("squeue", "--noheader", "--format=%i").split()


@contextlib.contextmanager
def own_slurm() -> Iterator[OwnSlurm]:
    """Run a Slurm of two nodes with one CPU each while this is entered."""
    # Sockets have short names.
    folder = Path(tempfile.mkdtemp(prefix="mvkt-slurm-"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        _configure(folder)
        slurm = OwnSlurm(folder)
        _start_munge(folder, stack)
        configuration = ("-f", str(folder / "slurm.conf"))
        daemons = [_start(folder, stack, "slurmctld", "-D", "-c", *configuration)]
        for node in NODES:
            daemons.append(_start(folder, stack, "slurmd", "-D", "-N", node, *configuration))

        def is_ready() -> bool:
            assert all(daemon.poll() is None for daemon in daemons), _outputs(folder)
            return slurm.is_idle()

        wait_until("the nodes to be idle", is_ready)
        # Whatever a test has left; processes of a job outlive the daemons.
        stack.callback(slurm.end_jobs)
        yield slurm


def _configure(folder: Path) -> None:
    ctld_port, n1_port, n2_port = free_ports(3)
    text = CONFIGURATION.format(
        host=socket.gethostname().partition(".")[0],
        user=getpass.getuser(),
        folder=folder,
        ctld_port=ctld_port,
        # Jobs of other instances on this machine have other numbers, and so other directories.
        # The script takes its ports by the last three digits: those of other tests are above.
        first_job=1000 * secrets.randbelow(10_000) + secrets.randbelow(400) + 1,
        n1_port=n1_port,
        n2_port=n2_port,
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text(GRES)
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))


def _start_munge(folder: Path, stack: contextlib.ExitStack) -> None:
    files = {
        "--key-file": "munge.key",
        "--socket": "munge.socket",
        "--pid-file": "munge.pid",
        "--seed-file": "munge.seed",
        "--log-file": "munge.log",
    }
    options = [f"{option}={folder / name}" for option, name in files.items()]
    # --force: the folder is private, so that other users cannot reach its socket, which is as
    # we want it.
    _start(folder, stack, "munged", "--foreground", "--force", *options)
    wait_until("munged", (folder / "munge.socket").exists)


def _start(
    folder: Path, stack: contextlib.ExitStack, name: str, *arguments: str
) -> subprocess.Popen[bytes]:
    output = stack.enter_context((folder / f"{name}.out").open("ab"))
    process = subprocess.Popen([name, *arguments], stdout=output, stderr=output)

    def stop() -> None:
        process.terminate()
        process.wait()

    stack.callback(stop)
    return process


def _outputs(folder: Path) -> str:
    return "\n".join(path.read_text() for path in folder.glob("*.out"))
