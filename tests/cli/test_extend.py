"""`mvkt extend`: more trials of the same study, also where it is interrupted on the way."""

import shlex
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.search import in_process

pytestmark = pytest.mark.usefixtures("without_images")

HINT = "Interrupted; all progress is saved. Resume with: mvkt "


@pytest.fixture
def own_study(study_dir: Path, tmp_path: Path) -> Path:
    """A copy of the finished study that a test may change."""
    out = tmp_path / "a study"
    shutil.copytree(study_dir, out)
    (out / ".lock").unlink(missing_ok=True)
    return out


def test_an_extension_adds_its_trials_once_although_it_is_interrupted(
    mvkt: Any, own_study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mvkt("status", own_study, "--json").json["trials"]
    run = in_process.InProcess._run  # pyright: ignore[reportPrivateUsage]

    def stop(*args: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return run(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(in_process.InProcess, "_run", stop)
        done = mvkt("extend", own_study, "--trials", 2, "--in-process")
    assert done.exit_code == 130
    (hint,) = [text for text in done.stderr.splitlines() if text.startswith(HINT)]
    resumed = mvkt(*shlex.split(hint.removeprefix(HINT)))
    assert resumed.exit_code == 0, resumed.stderr
    after = mvkt("status", own_study, "--json").json
    assert after["trials"][:6] == before
    assert (after["n_finished"], after["n_trials"]) == (8, 8)
    assert [trial["number"] for trial in after["trials"]] == list(range(8))


def test_a_dry_extension_counts_what_is_there_and_changes_nothing(
    mvkt: Any, study_dir: Path
) -> None:
    written = (study_dir / "study.yaml").read_bytes()
    done = mvkt("extend", study_dir, "--trials", 3, "--dry-run", "--in-process", "--json")
    assert done.json["n_trials"] == 9
    assert (study_dir / "study.yaml").read_bytes() == written


def test_what_cannot_be_extended_is_refused(mvkt: Any, study_dir: Path, tmp_path: Path) -> None:
    mvkt("extend", study_dir, "--trials", 0).expect_wrong_input("--trials", "at least 1")
    nowhere = mvkt("extend", tmp_path / "none", "--trials", 1)
    nowhere.expect_wrong_input("holds no study", "mvkt search --out")
