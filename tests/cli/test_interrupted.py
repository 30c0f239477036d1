"""Told to stop at any stage: exit code 130, nothing lost, and the printed line really goes on."""

import shlex
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.data.ingest import run_ingest as ingest_module
from mvkt_ray.search import in_process, stages

pytestmark = pytest.mark.usefixtures("without_images")

N_TRIALS = 4
PREFIX = "Interrupted; all progress is saved. Resume with: mvkt "


class Stop:
    """Lets a function run some times, then tells the process to stop, once."""

    def __init__(
        self,
        function: Callable[..., Any],
        after: int = 0,
        number: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.function, self.left, self.number = function, after, number

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.left -= 1
        if self.left == -1:
            signal.raise_signal(self.number)
        return self.function(*args, **options)


MOMENTS = {
    "while shards are built": (ingest_module, "build_shard", 0, signal.SIGTERM),
    "when the teacher reports": (in_process, "train_teacher", 0, signal.SIGINT),
    "while knowledge is computed": (stages, "write_knowledge", 0, signal.SIGTERM),
    "at the first trial": (in_process.InProcess, "_run", 0, signal.SIGINT),
    "at the third trial": (in_process.InProcess, "_run", 2, signal.SIGTERM),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_printed_line_goes_on_to_the_same_trials(
    mvkt: Any,
    study_file: Callable[[Mapping[str, Any]], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    owner, name, after, number = MOMENTS[moment]
    out = tmp_path / "a study"
    study = study_file({"data": {"source_options": {"n_recordings": 100, "duration_s": 3}}})
    line = ("search", study, "--out", out, "--in-process", "--max-trials", N_TRIALS)
    with monkeypatch.context() as patch:
        original = getattr(owner, name)
        stop = Stop(original, after, number)
        patch.setattr(owner, name, lambda *args, **options: stop(*args, **options))
        done = mvkt(*line)
    assert done.exit_code == 130
    (hint,) = [text for text in done.stderr.splitlines() if text.startswith(PREFIX)]
    resumed = mvkt(*shlex.split(hint.removeprefix(PREFIX)))
    assert resumed.exit_code == 0, resumed.stderr
    state = mvkt("status", out, "--json").json
    assert [trial["number"] for trial in state["trials"]] == list(range(N_TRIALS))
    assert (state["n_finished"], state["n_running"]) == (N_TRIALS, 0)


def test_without_resume_what_was_begun_is_not_touched(
    mvkt: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "study"
    line = ("search", home / "tiny.yaml", "--out", out, "--in-process")
    with monkeypatch.context() as patch:
        patch.setattr(ingest_module, "build_shard", Stop(len))
        assert mvkt(*line).exit_code == 130
    mvkt(*line).expect_wrong_input(str(out), "--resume")


def test_ingest_goes_on_with_the_shards_that_are_built(
    mvkt: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "shards"
    options = ("--option", "n_recordings=40", "--option", "duration_s=3", "--rows-per-shard", 10)
    line = ("ingest", "synthetic", "-", out, "--in-process", *options)
    with monkeypatch.context() as patch:
        stop = Stop(ingest_module.build_shard, after=2)
        patch.setattr(ingest_module, "build_shard", lambda *args: stop(*args))
        done = mvkt(*line)
    assert done.exit_code == 130
    assert not out.exists()
    mvkt(*line).expect_wrong_input("unfinished", "--resume")
    resumed = mvkt(*line, "--resume", "--json")
    assert resumed.exit_code == 0, resumed.stderr
    assert resumed.json["counts"]["n_recordings"] == 40
    other = tmp_path / "other"
    whole = mvkt("ingest", "synthetic", "-", other, "--in-process", *options, "--json")
    assert whole.json["fingerprint"] == resumed.json["fingerprint"]
