import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mvkt_ray.display.console import Output
from mvkt_ray.interface.sessions.log_files import logging_to, native_stderr_to
from mvkt_ray.interface.sessions.own_files import logs_beside, own_files
from mvkt_ray.storage.location import Location


def test_logs_and_warnings_go_to_the_file_and_nothing_is_left_behind(tmp_path: Path) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    with logging_to(tmp_path / "logs") as path:
        logging.getLogger("mvkt_ray.data").info("read %d", 3)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old keyword", UserWarning, stacklevel=1)
    text = path.read_text()
    assert "INFO mvkt_ray.data: read 3" in text
    assert "old keyword" in text
    assert (root.handlers, root.level) == before


def test_no_folder_is_made_when_nothing_is_logged(tmp_path: Path) -> None:
    with logging_to(tmp_path / "logs"):
        assert not (tmp_path / "logs").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_log_that_cannot_be_written_does_not_stop_the_work_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs, taken = tmp_path / "logs", tmp_path / "taken"
    logs.mkdir()
    # Linux's device of which every write finds the disk full.
    (logs / "driver.log").symlink_to("/dev/full")
    taken.write_text("a file")
    for folder, reason in ((logs, "No space left on device"), (taken / "logs", "Not a directory")):
        with logging_to(folder):
            for number in range(3):
                logging.getLogger("mvkt_ray").info("line %d", number)
        [note] = capsys.readouterr().err.splitlines()
        assert note.startswith(f"Note: the log {folder}/driver.log is not complete: {reason}")


def test_logs_of_an_artifact_are_beside_it(tmp_path: Path) -> None:
    with own_files(Output.open(), logs_beside(Location.parse(tmp_path / "shards"))) as own:
        assert own.logs == tmp_path / "shards.logs"
    assert list(tmp_path.iterdir()) == []


PROGRAM = """
import os, sys
from pathlib import Path
from mvkt_ray.interface.sessions.log_files import native_stderr_to
os.write(2, b"before\\n")
with native_stderr_to(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
    os.write(2, b"native\\n")
    print("python", file=sys.stderr)
os.write(2, b"after\\n")
print("end", file=sys.stderr)
"""


def test_native_output_goes_to_a_file_and_pythons_stays(tmp_path: Path) -> None:
    line = [sys.executable, "-c", PROGRAM]
    done = subprocess.run([*line, tmp_path / "logs"], capture_output=True, text=True)
    assert done.stderr.splitlines() == ["before", "python", "after", "end"]
    assert (tmp_path / "logs" / "ray-native.log").read_text() == "native\n"
    thrown_away = subprocess.run(line, capture_output=True, text=True)
    assert thrown_away.stderr == done.stderr


def test_an_empty_native_log_is_removed_and_descriptors_are_given_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with native_stderr_to(tmp_path):
            assert (tmp_path / "ray-native.log").exists()
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_log_holds_no_password_of_a_url_whoever_writes_it_there(tmp_path: Path) -> None:
    with logging_to(tmp_path) as log:
        try:
            raise ValueError("no answer from http://ann:S3CRET@host/runs")
        except ValueError:
            logging.getLogger("a library").exception("asking %s", "mlflow=http://b:S3CRET@host")
    text = log.read_text()
    assert "S3CRET" not in text
    assert "no answer from http://***@host/runs" in text
