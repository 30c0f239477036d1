"""Temporary folders go with their process: those of killed ones by whoever comes next."""

import subprocess
import sys
from pathlib import Path

from mvkt_ray.storage.scratch_folder import scratch_folder

HOLDER = """
import sys
from pathlib import Path
from mvkt_ray.storage.scratch_folder import scratch_folder
with scratch_folder("mvkt-driver-", Path(sys.argv[1])) as folder:
    (folder / "ledger.db").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


def test_a_folder_stays_while_its_process_lives_and_goes_when_that_was_killed(
    tmp_path: Path,
) -> None:
    older = tmp_path / "mvkt-driver-of-before"
    older.mkdir()
    line = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        with scratch_folder("mvkt-driver-", tmp_path):
            assert (folder / "ledger.db").exists()
        holder.kill()
        holder.wait()
        assert (folder / "ledger.db").exists()
        with scratch_folder("mvkt-ledger-", tmp_path):
            assert folder.exists()
        with scratch_folder("mvkt-driver-", tmp_path) as own:
            assert {own, older} == set(tmp_path.iterdir())
    # What has no lock may be in use by a version that made none.
    assert list(tmp_path.iterdir()) == [older]
