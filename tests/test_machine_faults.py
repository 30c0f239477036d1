"""What is the machine's doing, and what is not."""

import errno
import os
import resource
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy.exc
import torch
from hypothesis import given
from hypothesis import strategies as st

from mvkt_ray.errors import (
    ArtifactError,
    ConfigError,
    DataError,
    MachineError,
    StoreError,
    StoreUnreachableError,
    TrialDivergedError,
    WorkerLostError,
)
from mvkt_ray.machine_faults import (
    is_out_of_gpu_memory,
    machine_fault,
    naming_machine_faults,
    naming_the_file,
    naming_the_ledger,
)
from mvkt_ray.storage.location import Location

ALWAYS_THE_MACHINE = [
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EACCES,
    errno.ESTALE,
]


def raised(action: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action()
    return caught.value


def sqlite_full() -> sqlite3.OperationalError:
    """The error of a real database that may not grow."""
    connection = sqlite3.connect(":memory:")
    connection.execute("pragma max_page_count = 2")
    connection.execute("create table t (x)")

    def fill() -> None:
        connection.execute("insert into t values (?)", ("x" * 100_000,))

    error = raised(fill)
    connection.close()
    assert isinstance(error, sqlite3.OperationalError)
    return error


@pytest.mark.parametrize("number", ALWAYS_THE_MACHINE)
def test_an_error_of_the_system_tells_its_path_and_the_room_there(
    number: int, tmp_path: Path
) -> None:
    path = tmp_path / "not there yet" / "checkpoint.pt"
    fault = machine_fault(OSError(number, os.strerror(number), str(path)))
    assert fault is not None
    text = str(fault)
    assert os.strerror(number) in text
    assert str(path) in text
    assert f"bytes are free at {tmp_path}." in text
    assert "--resume" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError("Unable to allocate 9 GiB"), "Unable to allocate 9 GiB"),
        (ModuleNotFoundError("No module named 'torch'"), "cannot be imported"),
        (ImportError("cannot import name 'fmean'", path="/here/statistics.py"), "/here/statistics"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
        (RuntimeError("CUDA error: unspecified launch failure"), "GPU"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "GPU"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "GPU"),
        (RuntimeError("No CUDA GPUs: no CUDA-capable device is detected"), "GPU"),
        (torch.AcceleratorError("an illegal memory access was encountered"), "GPU"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out of memory"),
        (RuntimeError('Os { code: 28, kind: StorageFull, message: "..." }'), "disk is full"),
        (RuntimeError("write failed: [Errno 122] Disk quota exceeded"), "quota"),
        (sqlite_full(), "ledger"),
        (
            sqlalchemy.exc.OperationalError("insert", {}, sqlite_full()).with_traceback(None),
            "ledger",
        ),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else type(value).__name__,
)
def test_what_no_input_causes_is_the_machines(error: Exception, words: str) -> None:
    if isinstance(error, sqlalchemy.exc.OperationalError):
        error.__cause__ = error.orig
    fault = machine_fault(error)
    assert fault is not None
    assert words in str(fault)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("a defect"),
        KeyError("x"),
        ConfigError("batch_size is 7"),
        DataError("no such lead"),
        TrialDivergedError("the loss is nan"),
        WorkerLostError("gone"),
        StoreUnreachableError("no answer"),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x28 and 3x4)"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        sqlite3.OperationalError("no such table: trials"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("in_trial", [False, True])
def test_what_a_trial_does_itself_is_not(error: Exception, in_trial: bool) -> None:
    assert machine_fault(error, in_trial=in_trial) is None


def test_a_file_that_is_not_there_is_the_machines_doing_only_where_it_was_there_before() -> None:
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory", "/mnt/data/a.arrow")
    assert machine_fault(gone) is None
    assert "unmounted" in str(machine_fault(gone, in_trial=True))
    refused = StoreError("s3://bucket: access denied")
    assert machine_fault(refused) is None
    assert "access denied" in str(machine_fault(refused, in_trial=True))


def test_gpu_memory_is_known_by_its_class() -> None:
    assert is_out_of_gpu_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_gpu_memory(RuntimeError("CUDA out of memory"))


@given(
    links=st.lists(st.sampled_from(["from", "while"]), max_size=4),
    number=st.sampled_from(ALWAYS_THE_MACHINE),
)
def test_the_root_is_told_however_deep_it_lies(links: list[str], number: int) -> None:
    """Whatever is raised from it, or while it is handled: the reason told is the root."""
    error: Exception = OSError(number, os.strerror(number), "/root/cause")
    for depth, link in enumerate(links):
        outer = RuntimeError(f"symptom {depth}")
        if link == "from":
            outer.__cause__ = error
        else:
            outer.__context__ = error
        error = outer
    fault = machine_fault(error)
    assert fault is not None
    assert "/root/cause" in str(fault)
    assert "symptom" not in str(fault)


def test_what_is_raised_on_purpose_has_judged_what_it_was_raised_from() -> None:
    ours = ArtifactError("the checkpoint belongs to another training")
    ours.__cause__ = FileNotFoundError(errno.ENOENT, "No such file", "/a")
    assert machine_fault(ours, in_trial=True) is None
    ours.__cause__ = OSError(errno.EIO, "Input/output error", "/a")
    assert machine_fault(ours) is not None


def test_a_fault_keeps_its_text_and_is_told_with_its_node_once() -> None:
    with pytest.raises(MachineError) as caught, naming_machine_faults("other"):
        with naming_machine_faults("node-7/1a2b"):
            raise MachineError("The machine fails: no disk.")
    assert str(caught.value) == "On node node-7/1a2b: The machine fails: no disk."
    with pytest.raises(ZeroDivisionError), naming_machine_faults("node-7/1a2b"):
        raise ZeroDivisionError


def test_a_file_that_may_not_grow_names_itself_and_the_bytes(tmp_path: Path) -> None:
    """A real error of the system: the process may write no file above 1,000 bytes."""
    import signal

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    target = Location.parse(tmp_path / "checkpoint.pt")
    target.write_bytes(b"before")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
        error = raised(lambda: target.write_bytes(b"x" * 5_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert isinstance(error, OSError)
    text = str(machine_fault(error))
    assert "File too large for 5,000 bytes" in text
    assert "checkpoint.pt" in text
    assert target.read_bytes() == b"before"
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_ledger_that_is_full_is_told_with_its_path_and_the_room_there(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught, naming_the_ledger(f"{tmp_path}/ledger.db"):
        raise RuntimeError("the commit failed") from sqlite_full()
    assert f"{tmp_path}/ledger.db says `database or disk is full`" in str(caught.value)
    assert f"bytes are free at {tmp_path}" in str(caught.value)
    with pytest.raises(ZeroDivisionError), naming_the_ledger("x"):
        raise ZeroDivisionError


def test_an_error_that_names_its_file_keeps_the_name(tmp_path: Path) -> None:
    def write_elsewhere() -> None:
        with naming_the_file(tmp_path / "outer"):
            raise FileNotFoundError(errno.ENOENT, "No such file", "/inner")

    assert "/inner" in str(raised(write_elsewhere))


def test_a_full_device_is_named(tmp_path: Path) -> None:
    """`/dev/full` answers every write as a full disk does."""

    def write() -> None:
        with naming_the_file(tmp_path / "out"), open("/dev/full", "wb", buffering=0) as stream:
            stream.write(b"x")

    text = str(machine_fault(raised(write)))
    assert f"'{tmp_path / 'out'}'" in text
    assert "The disk is full" in text
