"""A disk that fails at any write of a search: full, out of inodes, read-only, or with no folder.

A small tmpfs of its own holds the case. At the n-th write of a search below it the disk begins to
refuse. The search must end in one paragraph and exit code 2, or go on; and when the disk is well
again, go on by `--resume` to the numbers of a search that nothing befell. Mounting takes root on
Linux, whom the kernel lets write to a folder that may only be read, unless that is taken away:

    setpriv --bounding-set=-dac_override,-dac_read_search python -m benchmarks.lying_files ...
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import yaml

from .invoking import Done, invoke
from .judging import Judged
from .making import CONFIG
from .reading import numbers

FAULTS = ("full", "no inodes", "read-only", "removed")
_SIZE_BYTES = 64 << 20
_N_INODES = 20_000
_FILLER = ".filler"
_WRITING = os.O_WRONLY | os.O_RDWR
_ALSO_WRITES = frozenset({"os.rename", "os.mkdir"})
_FINALS = {"n_seeds": 2, "baselines": []}
_SEARCH = {**CONFIG["search"], "n_trials": 2, "baselines": []}
_STUDY = {**CONFIG, "search": _SEARCH, "finals": _FINALS}


def search_on_failing_disks(root: Path, n: int) -> Generator[dict[str, object]]:
    """Yield verdicts: for each fault, n places spread over the writes of a search.

    Args:
        root: Of everything; a folder `disk` of it is mounted at.
        n: Places for each fault.
    """
    root.mkdir(parents=True, exist_ok=True)
    _expect_that_folders_refuse(root)
    study = root / "failing.yaml"
    study.write_text(yaml.safe_dump(_STUDY))
    whole = _on_disk(root / "disk", lambda case: _whole(study, case))
    assert "n_writes" in whole, whole
    n_writes = whole["n_writes"]
    for number in range(n):
        for fault in FAULTS:
            at = 1 + int((number + 0.5) / n * n_writes)
            judged = _on_disk(
                root / "disk",
                lambda case, f=fault, k=at: _case(study, case, f, k, whole["numbers"]),
            )
            yield {"fault": fault, "write": at, "of": n_writes, **judged}


def _whole(study: Path, case: Path) -> dict[str, Any]:
    writes = _Writes(case)
    done = _search(study, case)
    assert done.exit_code == 0, done.stderr
    return {"n_writes": writes.n, "numbers": _plain(numbers(case))}


def _case(study: Path, case: Path, fault: str, at: int, whole: Any) -> dict[str, Any]:
    writes = _Writes(case, at, lambda path: _break(fault, case, path))
    done = _search(study, case)
    writes.on_nth = None
    _repair(case)
    judged = _judge(study, case, done, whole, may_start_anew=fault == "removed")
    return {"last": str(writes.last), "verdict": judged.verdict, "said": judged.said}


def _judge(study: Path, case: Path, done: Done, whole: Any, *, may_start_anew: bool) -> Judged:
    text = done.stderr.strip()
    if "Traceback" in text or done.exit_code not in (0, 1, 2):
        return Judged("WRONG", f"exit code {done.exit_code}: {text[-600:]}")
    if done.exit_code and text.count("Error: ") != 1:
        return Judged("WRONG", f"{text.count('Error: ')} paragraphs: {text[-600:]}")
    went_on = _search(study, case, "--resume")
    if went_on.exit_code and may_start_anew:
        shutil.rmtree(case / "study", ignore_errors=True)
        went_on = _search(study, case)
    if went_on.exit_code:
        return Judged("WRONG", f"does not go on: {went_on.stderr[-600:]}; after: {text[-300:]}")
    if _plain(numbers(case)) != whole:
        return Judged("WRONG", f"another answer, after: {text[-300:]}")
    return Judged("refused" if done.exit_code else "same answer", text[-300:])


def _search(study: Path, case: Path, *options: str) -> Done:
    line = ("search", study, "--out", case / "study", "--in-process", "--quiet")
    return invoke(*line, *options)


class _Writes:
    """Counts what this process opens for writing, renames or makes below a folder."""

    def __init__(
        self, below: Path, at: int = 0, on_nth: Callable[[Path], None] | None = None
    ) -> None:
        self.n, self.last, self.on_nth = 0, Path(), on_nth
        self._below, self._at = f"{below}/", at
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_open = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
        if not (is_open or event in _ALSO_WRITES) or not isinstance(arguments[0], str | Path):
            return
        path = str(arguments[0])
        if not path.startswith(self._below) or path.endswith(_FILLER):
            return
        self.n += 1
        if self.n == self._at and self.on_nth is not None:
            self.last = Path(path)
            self.on_nth(self.last)


def _break(fault: str, case: Path, path: Path) -> None:
    match fault:
        case "full":
            with contextlib.suppress(OSError), (case / _FILLER).open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 12))
        case "no inodes":
            (case / f"{_FILLER}s").mkdir()
            with contextlib.suppress(OSError):
                for number in range(_N_INODES):
                    os.mknod(case / f"{_FILLER}s" / str(number))
        case "read-only":
            folder = next(each for each in path.parents if each.is_dir())
            for each in (folder, *(below for below in folder.rglob("*") if below.is_dir())):
                each.chmod(0o555)
        case _:
            shutil.rmtree(case / "study", ignore_errors=True)


def _repair(case: Path) -> None:
    (case / _FILLER).unlink(missing_ok=True)
    shutil.rmtree(case / f"{_FILLER}s", ignore_errors=True)
    for folder, folders, _ in os.walk(case):
        for name in folders:
            (Path(folder) / name).chmod(0o755)


def _on_disk(place: Path, act: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
    """Act on a new small disk, in a process that ends with it, as its audit hook does."""
    place.mkdir(parents=True, exist_ok=True)
    options = f"size={_SIZE_BYTES},nr_inodes={_N_INODES}"
    _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
    try:
        case = place / "case"
        case.mkdir()
        reads, writes = os.pipe()
        child = os.fork()
        if not child:
            _act_and_end(act, case, writes)
        os.close(writes)
        with os.fdopen(reads, "rb") as pipe:
            said = pipe.read()
        os.waitpid(child, 0)
        return json.loads(said)
    finally:
        _run("umount", "-l", str(place))


def _act_and_end(act: Callable[[Path], dict[str, Any]], case: Path, pipe: int) -> None:
    try:
        value = act(case)
    except BaseException as error:
        value = {"verdict": "WRONG", "said": f"{type(error).__name__}: {error}"}
    os.write(pipe, json.dumps(value).encode())
    os._exit(0)


def _expect_that_folders_refuse(root: Path) -> None:
    folder = root / "read-only"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o555)
    if os.access(folder, os.W_OK):
        raise SystemExit(f"this process may write to any folder. Run it by setpriv.{__doc__}")


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=repr))


def _run(*line: str) -> None:
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(line)}: {done.stderr.strip()}")
