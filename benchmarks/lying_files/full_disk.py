"""A disk that is full, or has no place for another file, at any moment of a command.

A tmpfs of its own is filled up but for so many bytes, or has so many inodes; a command that runs
out must end in one paragraph, lose nothing, and come to the same numbers when there is room again.
Mounting takes root on Linux.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from .judging import Answer, Done, Judged, invoke, numbers

SIZE_BYTES = 256 << 20
_FILLER = "filler"


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs of `SIZE_BYTES`."""

    root: Path

    def leave(self, n_bytes: int) -> None:
        """Fill it up but for so many bytes."""
        free = shutil.disk_usage(self.root).free
        with (self.root / _FILLER).open("wb") as file:
            file.truncate(0)
            block = bytes(1 << 16)
            for _ in range(max(0, free - n_bytes) // len(block)):
                file.write(block)

    def leave_inodes(self, n: int) -> None:
        """Let it take so many files and folders in all."""
        _run("mount", "-o", f"remount,nr_inodes={n}", str(self.root))

    def make_room(self) -> None:
        """Take away what fills it."""
        (self.root / _FILLER).unlink(missing_ok=True)
        _run("mount", "-o", f"remount,nr_inodes={SIZE_BYTES >> 10}", str(self.root))


@contextlib.contextmanager
def small_disk(root: Path) -> Generator[SmallDisk]:
    """Mount a small disk in the block.

    Raises:
        OSError: This process may not mount.
    """
    root.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(root))
    try:
        yield SmallDisk(root)
    finally:
        _run("umount", "-l", str(root))


def judge_full_disk(
    disk: SmallDisk,
    fill: Callable[[], None],
    first: Callable[[Path], Done],
    again: Callable[[Path], tuple[Done, Answer]],
    whole: Answer,
) -> Judged:
    """Run a command on a disk that is nearly full, make room, go on, and judge both.

    Args:
        disk: The case is its folder `case`.
        fill: Leaves too little room.
        first: The command, on the folder of the case.
        again: A command that goes on with it, and its answer.
        whole: What that answers where there was room from the start.
    """
    case = disk.root / "case"
    case.mkdir(exist_ok=True)
    fill()
    done = first(case)
    disk.make_room()
    text = done.stderr
    if "Traceback" in text:
        return Judged("WRONG", f"traceback: {text.strip().splitlines()[-1]}")
    if done.exit_code not in (0, 1, 2) or (done.exit_code and text.count("Error: ") != 1):
        return Judged("WRONG", f"exit code {done.exit_code}: {text[-300:]}")
    went_on, answer = again(case)
    if went_on.exit_code:
        return Judged("WRONG", f"does not go on: {went_on.stderr[-300:]}")
    other = [key for key, value in whole.items() if answer.get(key) != value]
    if other:
        return Judged("WRONG", f"another answer in {len(other)} places, {other[0]}")
    return Judged("refused" if done.exit_code else "same answer", text.strip()[-300:])


def searching(study_file: Path, *options: str) -> Callable[[Path], tuple[Done, Answer]]:
    """Return a command that searches in the folder of a case, and its answer."""

    def run(case: Path) -> tuple[Done, Answer]:
        line = ("search", study_file, "--out", case / "study", "--in-process", "--quiet")
        done = invoke(*line, *options)
        return done, numbers(case) if done.exit_code == 0 else {}

    return run


def fill_and_search(root: Path, study_file: Path, share: float, *, inodes: bool = False) -> Judged:
    """Search on a disk that has room for a share of what the search writes.

    Args:
        root: A folder to mount at.
        study_file: Of a tiny study.
        share: From 0 to 1.
        inodes: Leave files, not bytes.
    """
    search = searching(study_file)
    with small_disk(root) as disk:
        case = disk.root / "case"
        done, whole = search(case)
        assert done.exit_code == 0, done.stderr
        files = [path for path in case.rglob("*")]
        n_bytes = sum(path.stat().st_size for path in files if path.is_file())
        shutil.rmtree(case)

        def fill() -> None:
            if inodes:
                disk.leave_inodes(3 + int(share * len(files)))
            else:
                disk.leave(int(share * n_bytes))

        again = searching(study_file, "--resume")
        return judge_full_disk(disk, fill, lambda case: search(case)[0], again, whole)


def _run(*line: str) -> None:
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(line)}: {done.stderr.strip()}")
