"""Telling what the machine did from what was asked of it: one look at any exception.

A full disk, a read-only folder, no memory, a GPU that is gone, a package that cannot be imported or
a store that does not answer would end every trial alike. Whoever catches an exception of unknown
origin asks here first, and raises the `MachineError` that comes back: what was in progress stays
open, and goes on with `--resume`.

A GPU whose memory does not suffice (`torch.OutOfMemoryError`) is none of these: batch size and
network are searched, so it may be the trial's own doing. It is worth another attempt, as a lost
worker is, and the study decides by what becomes of the other trials.
"""

import errno
import os
import re
import resource
import shutil
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from mvkt_ray.errors import MachineError, MvktError, StoreError, StoreUnreachableError
from mvkt_ray.phrasing import one_line

GOES_ON = (
    "Neither the input nor a trial is at fault. All finished work is kept; continue with the "
    "same command and --resume (`mvkt finalize` and `mvkt download` resume without it)."
)

_REMEDIES = {
    errno.ENOSPC: "The disk is full: make room on it.",
    errno.EDQUOT: "The quota is used up: make room, or have it raised.",
    errno.EFBIG: "The file exceeds the size limit: raise it (`ulimit -f`).",
    errno.EROFS: "The file system is read-only, perhaps after a failure: see the system's log.",
    errno.EACCES: "This user may not do that there: see to the permissions.",
    errno.EPERM: "This user may not do that there: see to the permissions.",
    errno.EIO: "The disk or its connection has failed: see the system's log.",
    errno.EMFILE: "This process has reached its limit of open files: raise it (`ulimit -n`).",
    errno.ENFILE: "This machine has reached its limit of open files: end processes that hold many.",
    errno.ENOMEM: "The machine is out of memory: end other processes, or run fewer trials.",
    errno.EAGAIN: "The limit of processes or threads is reached: raise it (`ulimit -u`).",
    errno.ESTALE: "The file server has lost the folder: mount it again.",
    errno.ENOTCONN: "The file server is gone: mount the folder again.",
    errno.ENODEV: "The device is gone: see the system's log.",
    errno.ENXIO: "The device is gone: see the system's log.",
}
"""Errors that no input causes, whoever meets them."""

_GONE = {
    errno.ENOENT: "It was there before: has a disk been unmounted, or a folder been moved?",
    errno.ENOTDIR: "It was there before: has a disk been unmounted, or a folder been moved?",
}
"""Errors that are the machine's in the middle of a trial, whose paths were there at its start."""

_SQLITE = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.ENOENT,
}
"""Primary result codes (sqlite.org/rescode.html), and what they come from."""

_IN_TEXTS = re.compile(r"\[Errno (\d+)\]|\bos error (\d+)|\bOs \{ code: (\d+)", re.IGNORECASE)
"""How libraries of C++ and Rust hand on the number of a system's error."""

_GPU_GONE = re.compile(
    r"CUDA error|CUDA driver|no CUDA-capable device|NVML|NVIDIA driver|HIP error"
    r"|CUDNN_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|NOT_INITIALIZED)"
    r"|CUBLAS_STATUS_(EXECUTION_FAILED|INTERNAL_ERROR|NOT_INITIALIZED|ALLOC_FAILED)"
)
_NO_MEMORY = re.compile(r"DefaultCPUAllocator|can't allocate memory|Cannot allocate memory")
_NO_THREADS = "can't start new thread"
_ON = "On node "


def machine_fault(error: BaseException, *, in_trial: bool = False) -> MachineError | None:
    """Return what the machine did, if that is the root of an exception; None if it is not.

    Args:
        error: Any exception; its causes are looked through, the root first.
        in_trial: It ended a trial, or another piece of work whose inputs were checked before: then
            no error of the operating system and no refusal of a store is its own.
    """
    if isinstance(error, MachineError):
        return error
    for cause, is_stated in _roots_first(error):
        # What merely was being handled when another error came says less than a stated cause.
        fault = _fault(cause, in_trial=in_trial and is_stated)
        if fault is not None:
            return fault
    return None


def is_out_of_gpu_memory(error: BaseException) -> bool:
    """Whether torch did not get the GPU memory that it asked for."""
    return any(
        kind.__name__ == "OutOfMemoryError" and kind.__module__.startswith("torch")
        for kind in type(error).__mro__
    )


@contextmanager
def naming_machine_faults(where: str = "") -> Generator[None]:
    """Raise a MachineError in place of what the machine caused; else what was raised.

    It is entered where the work is done: the free bytes of a disk are those of that machine.

    Args:
        where: The node, for people; empty where there is only one.
    """
    try:
        yield
    except Exception as error:
        fault = machine_fault(error, in_trial=True)
        if fault is None:
            raise
        raise MachineError(on_node(where, fault) if where else str(fault)) from error


def on_node(node: str, fault: MachineError) -> str:
    """Write what a machine did with its name in front, once."""
    text = str(fault)
    return text if text.startswith(_ON) else f"{_ON}{node}: {text}"


@contextmanager
def naming_the_ledger(path: str) -> Generator[None]:
    """Raise a MachineError with its path in place of what keeps a ledger from being written.

    Args:
        path: Of the database; SQLite's errors do not tell it.
    """
    try:
        yield
    except Exception as error:
        for cause, _ in _roots_first(error):
            fault = _sqlite(cause, path) if isinstance(cause, sqlite3.Error) else None
            if fault is not None:
                raise fault from error
        raise


@contextmanager
def naming_the_file(path: Path, n_bytes: int | None = None) -> Generator[None]:
    """Let an error of the operating system say what was written; few do for an open file.

    Args:
        path: Of the file.
        n_bytes: How much was to be written, where that is known.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None or (error.filename is not None and n_bytes is None):
            # It says which file already, or is not of the system.
            raise
        size = "" if n_bytes is None else f" for {n_bytes:,} bytes"
        named = OSError(error.errno, f"{os.strerror(error.errno)}{size}", str(path))
        raise named.with_traceback(error.__traceback__) from None


def _roots_first(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    chain: list[tuple[BaseException, bool]] = []
    link: BaseException | None = error
    is_stated = True
    while link is not None and all(link is not known for known, _ in chain):
        chain.append((link, is_stated))
        # What is raised on purpose has judged its causes already.
        is_stated = is_stated and not isinstance(link, MvktError) and link.__cause__ is not None
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return reversed(chain)


def _fault(error: BaseException, *, in_trial: bool) -> MachineError | None:
    if isinstance(error, MachineError):
        return error
    if isinstance(error, StoreUnreachableError):
        # It may answer again: worth another attempt, and the study counts those.
        return None
    if isinstance(error, StoreError):
        return MachineError(f"{error} {GOES_ON}") if in_trial else None
    if isinstance(error, MvktError):
        return None
    if isinstance(error, MemoryError):
        return _memory(error)
    if isinstance(error, ImportError):
        return _import(error)
    if isinstance(error, sqlite3.Error):
        return _sqlite(error)
    if isinstance(error, OSError) and not isinstance(error, ValueError):
        return _system(error, in_trial=in_trial)
    return _by_text(error)


def _system(error: OSError, *, in_trial: bool) -> MachineError | None:
    number = error.errno if error.errno is not None else _number_in(str(error))
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if number in _REMEDIES or in_trial:
        return _of_number(number, path, one_line(error))
    return None


def _of_number(number: int | None, path: str, said: str) -> MachineError:
    remedy = _REMEDIES.get(number or 0) or _GONE.get(number or 0) or "See the system's log."
    if number in (errno.EMFILE,):
        remedy += f" It is {resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,} now."
    if number == errno.ENOMEM:
        remedy += f" {_free_memory()}"
    return MachineError(f"The machine fails: {said}.{room_at(path)} {remedy} {GOES_ON}")


def _sqlite(error: sqlite3.Error, path: str = "") -> MachineError | None:
    code = getattr(error, "sqlite_errorcode", None)
    number = None if code is None else _SQLITE.get(code & 0xFF)
    if number is None:
        return None
    named = f"the ledger {path}" if path else "the ledger of the study"
    return _of_number(number, path, f"{named} says `{one_line(error)}`")


def _memory(error: BaseException) -> MachineError:
    said = one_line(error)
    said = f"no memory is left ({said})" if said != "MemoryError" else "no memory is left"
    return _of_number(errno.ENOMEM, "", said)


def _import(error: ImportError) -> MachineError:
    where = f" ({error.path})" if error.path else ""
    return MachineError(
        f"The machine fails: a package cannot be imported: {one_line(error)}{where}. It may be "
        "missing, damaged, or shadowed by a file of the same name; install it again, or rename "
        f"that file. {GOES_ON}"
    )


def _by_text(error: BaseException) -> MachineError | None:
    """Judge an error whose class says nothing: RuntimeErrors of torch, and of Rust and C++."""
    text = str(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    if is_out_of_gpu_memory(error):
        return None
    if "AcceleratorError" in names or _GPU_GONE.search(text):
        return MachineError(
            f"The machine fails: its GPU has failed ({one_line(error)}). See `nvidia-smi` and the "
            f"system's log; starting again, or restarting the machine, may help. {GOES_ON}"
        )
    if _NO_MEMORY.search(text):
        return _memory(error)
    if _NO_THREADS in text:
        return _of_number(errno.EAGAIN, "", one_line(error))
    number = _number_in(text)
    return _of_number(number, "", one_line(error)) if number in _REMEDIES else None


def _number_in(text: str) -> int | None:
    found = _IN_TEXTS.search(text)
    return int(next(filter(None, found.groups()))) if found else None


def remedy_of(error: OSError) -> str:
    """Say in a sentence what helps against an error of the system."""
    return _REMEDIES.get(error.errno or 0, "See the system's log.")


def room_at(path: str) -> str:
    """Say how much is free where a path is, or would be."""
    if not path:
        return ""
    for folder in (Path(path), *Path(path).absolute().parents):
        try:
            free = shutil.disk_usage(folder).free
        except OSError:
            continue
        return f" {free:,} bytes are free at {folder}."
    return ""


def _free_memory() -> str:
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{free:,} bytes of the disk are free now."
