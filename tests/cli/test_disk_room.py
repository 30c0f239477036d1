"""A search says how much disk it takes, keeps to it, and is refused where the disk is too small."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mvkt_ray.training.trial_files import TrialFolder

pytestmark = pytest.mark.usefixtures("without_images")


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_no_trial_takes_more_than_was_predicted_and_the_whole_search_does_not(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, written = tmp_path / "out", list[int]()
    discard = TrialFolder.discard_checkpoint

    def noting(folder: TrialFolder) -> None:
        written.append(folder.checkpoint.size_bytes())
        discard(folder)

    monkeypatch.setattr(TrialFolder, "discard_checkpoint", noting)
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", out, "--in-process")
    need = mvkt(*line, "--dry-run", "--json").json["disk_need"]
    assert need["n_trials"] == 6
    assert need["n_at_once"] == 1
    assert need["total"] == need["stages"] + need["checkpoint"] + 6 * need["trial"]
    assert mvkt(*line, "--quiet").exit_code == 0
    # A second one is beside it while it is written.
    assert need["checkpoint"] / 3 < 2 * max(written) <= need["checkpoint"]
    trials = sorted((out / "trials").iterdir())
    assert need["trial"] / 3 < max(map(size_of, trials)) <= need["trial"]
    taken = size_of(out / "knowledge") + size_of(out / "trials")
    assert taken + (out / "ledger.db").stat().st_size <= need["total"]
    more = ("search", "--resume", "--out", out, "--in-process", "--max-trials", 9)
    left = mvkt(*more, "--dry-run", "--json").json["disk_need"]
    assert (left["n_trials"], left["stages"]) == (3, 0)
    assert "up to" in mvkt(*more, "--dry-run").stdout


def test_a_search_that_the_disk_cannot_hold_is_refused_before_anything_is_written(
    mvkt: Any, home: Path, shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    line = ("search", home / "tiny.yaml", "--data", shards, "--out", out, "--in-process")
    total = mvkt(*line, "--dry-run", "--json").json["disk_need"]["total"]
    free = [total - 1]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free[0]))
    for flags in ((), ("--dry-run",)):
        done = mvkt(*line, *flags)
        assert done.exit_code == 1
        [paragraph] = [text for text in done.stderr.splitlines() if text.startswith("Error: ")]
        assert f"up to {total:,} bytes, but {total - 1:,} are free" in paragraph
        assert "--max-trials" in paragraph
    assert not (out / "study.yaml").exists()
    free[0] = total
    assert mvkt(*line, "--dry-run").exit_code == 0
