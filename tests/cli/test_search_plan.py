"""A dry run and the search after it follow one plan, and everything is looked at once."""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.interface import search_run
from mvkt_ray.interface.sessions import driver_session
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.spending.budget import Limits
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.output_lock import holding

WriteStudy = Callable[[Mapping[str, Any]], Path]
LineOf = Callable[[str], tuple[object, ...]]

pytestmark = pytest.mark.usefixtures("without_images")

FRESH = {"data": {"source_options": {"n_recordings": 100, "duration_s": 3}}}
ONLINE = {"student": {"knowledge": "online", "epochs": 1}}


def content_of(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.fixture
def line_of(
    study_file: WriteStudy, home: Path, shards: Path, study_dir: Path, tmp_path: Path
) -> LineOf:
    """Lines of searches that find more or less of what they need; `--out` is in `tmp_path`."""

    def line(case: str) -> tuple[object, ...]:
        out, own = tmp_path / "out", ("--in-process", "--max-trials", 5)
        if case == "resumed":
            shutil.copytree(study_dir, out)
            return ("search", "--out", out, "--resume", "--in-process", "--max-trials", 7)
        if case == "resumed without its teacher and knowledge":
            shutil.copytree(study_dir, out)
            for name in ("teacher", "knowledge"):
                shutil.rmtree(out / name)
            return ("search", "--out", out, "--resume", "--in-process")
        if case == "nothing":
            return ("search", study_file(FRESH), "--out", out, *own)
        given = ("--data", shards, "--out", out, *own)
        if case == "shards":
            return ("search", home / "tiny.yaml", *given)
        study = study_file(ONLINE) if case == "teacher, asked in the loop" else home / "tiny.yaml"
        return ("search", study, "--teacher", study_dir / "teacher", *given)

    return line


CASES = (
    "nothing",
    "shards",
    "teacher",
    "teacher, asked in the loop",
    "resumed",
    "resumed without its teacher and knowledge",
)


@pytest.mark.parametrize("case", CASES)
def test_a_search_does_what_its_dry_run_said_and_the_dry_run_writes_nothing(
    mvkt: Any, tmp_path: Path, line_of: LineOf, case: str
) -> None:
    line = line_of(case)
    before = content_of(tmp_path)
    plan = mvkt(*line, "--dry-run", "--json").json
    assert content_of(tmp_path) == before
    assert list(plan["stages"]) == ["shards", "teacher", "knowledge", "trials"]

    done = mvkt(*line)
    assert done.exit_code == 0, done.stderr
    said = done.stdout.splitlines()
    for stage, what in plan["stages"].items():
        lines = [text for text in said if text.startswith(f"{stage}: ")]
        if what.startswith("use "):
            assert lines == [f"{stage}: reused, {what.removeprefix('use ')}"]
        elif what.startswith("none: "):
            assert lines == []
        else:
            # How much knowledge it is, is counted when it is computed.
            size = what.rpartition(" about ")[2] if stage == "knowledge" else what
            if not size.endswith("once the shards exist"):
                assert sum(text.endswith(size) for text in lines) == 1
            assert sum(text.startswith(f"{stage}: done in ") for text in lines) == 1
            assert not any(text.startswith(f"{stage}: reused") for text in lines)

    state = mvkt("status", tmp_path / "out", "--json").json
    assert state["n_finished"] == len(state["trials"]) == plan["n_trials"]
    assert [row["name"] for row in state["conditions"]] == plan["conditions"]
    baselines = [trial for trial in state["trials"] if trial["arm"] != "search"]
    assert len(baselines) == plan["n_baselines"]


@pytest.mark.parametrize("case", ["nothing", "teacher", "resumed"])
def test_a_search_checks_and_opens_everything_once(
    mvkt: Any,
    study_dir: Path,
    line_of: LineOf,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    calls: Counter[str] = Counter()
    until_the_report: Counter[str] = Counter()

    def count(owner: Any, name: str) -> None:
        original = getattr(owner, name)
        bound = original if isinstance(owner.__dict__[name], classmethod) else None

        def counted(*args: Any, **options: Any) -> Any:
            calls[f"{owner.__name__}.{name}"] += 1
            return bound(*args[1:], **options) if bound else original(*args, **options)

        monkeypatch.setattr(owner, name, classmethod(counted) if bound else counted)

    def report(*args: Any) -> Any:
        until_the_report.update(calls)
        return make_report(*args)

    line = line_of(case)
    make_report = search_run.make_report
    monkeypatch.setattr(search_run, "make_report", report)
    count(SearchSpace, "from_config")
    count(StudyFolder, "claim")
    count(Ledger, "find")
    count(Limits, "check")
    count(Limits, "check_nodes")
    count(InProcess, "check")
    done = mvkt(*line, "--like", study_dir)
    assert done.exit_code == 0, done.stderr
    assert until_the_report == {
        "SearchSpace.from_config": 1,
        "StudyFolder.claim": 1,
        "Limits.check": 1,
        "Limits.check_nodes": 1,
        "InProcess.check": 1,
        # The study's own and that of the study that it is like.
        "Ledger.find": 2,
    }


def test_a_study_that_is_driven_by_another_process_is_refused_before_ray_and_logs(
    mvkt: Any,
    home: Path,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a runner was opened")

    monkeypatch.setattr(driver_session, "open_runner", never)
    out = tmp_path / "out"
    with holding(Location.parse(out)):
        done = mvkt("search", home / "tiny.yaml", "--data", shards, "--out", out)
    done.expect_wrong_input(str(out), "another process writes it now")
    assert not out.exists()


def test_a_dry_run_refuses_what_the_search_would_refuse(
    mvkt: Any, study_file: WriteStudy, shards: Path, study_dir: Path, tmp_path: Path
) -> None:
    given = ("--data", shards, "--in-process")
    other = study_file({"space": {"kd_weight": 3.0}})
    resumed = ("search", other, *given, "--out", study_dir, "--resume")
    begun = ("search", other, *given, "--out", study_dir)
    saw_too_much = ("search", other, *given, "--out", tmp_path / "out")
    saw_too_much += ("--teacher", study_dir / "teacher", "--folds", "7-9/1-6/10")
    before = content_of(study_dir)
    for line, said in (
        (resumed, "another configuration"),
        (begun, "Continue it by --resume"),
        (saw_too_much, "the study keeps"),
    ):
        refused = mvkt(*line)
        refused.expect_wrong_input(said)
        assert mvkt(*line, "--dry-run").stderr == refused.stderr
    assert content_of(study_dir) == before
    assert not (tmp_path / "out").exists()


def test_a_damaged_ledger_is_told_by_the_dry_run(
    mvkt: Any, home: Path, shards: Path, study_dir: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "study"
    shutil.copytree(study_dir, copy)
    (copy / "ledger.db").write_bytes(b"no database")
    resumed = ("search", "--out", copy, "--resume")
    new = ("search", home / "tiny.yaml", "--data", shards, "--out", tmp_path / "new")
    for line in (resumed, (*new, "--like", copy)):
        done = mvkt(*line, "--in-process", "--dry-run")
        done.expect_wrong_input(str(copy / "ledger.db"), "cannot be read")


def test_a_grid_is_printed_with_its_size_and_status_tells_the_same_number_of_trials(
    mvkt: Any, study_file: WriteStudy, shards: Path, study_dir: Path, tmp_path: Path
) -> None:
    rows = {
        "student": ["sepconv1d", "xresnet1d18"],
        "student_width": {"low": 8, "high": 24, "step": 8, "when": {"student": "sepconv1d"}},
        "student_depth": 0,
        "learning_rate": 0.01,
    }
    limits = {"parameters": 8000}
    search = {"sampler": "grid", "limits": limits, "n_trials": 40, "baselines": ["student_alone"]}
    study = study_file({"space": rows, "search": search, "student": {"epochs": 1}})
    out = tmp_path / "out"
    given = ("--data", shards, "--teacher", study_dir / "teacher", "--in-process")
    line = ("search", study, *given, "--out", out)
    plan = mvkt(*line, "--dry-run", "--json").json
    # Widths 8 and 16 for each of two leads; the third has more than 8000 parameters.
    assert plan["n_trials"] == 2 * 2 + 2
    assert plan["stages"]["trials"] == (
        "6, of which 2 are baselines, of up to 1 epochs; the others are a grid of 2 points for "
        "each lead, without 2 points beyond search.limits; of students up to 8,000 parameters"
    )
    assert mvkt(*line, "--quiet").exit_code == 0
    state = mvkt("status", out, "--json").json
    assert state["n_trials"] == state["n_finished"] == 6
    again = mvkt(*line, "--resume", "--dry-run", "--json").json
    assert again["n_trials"] == 6

    too_few = mvkt(*line, "--resume", "--max-trials", 5)
    too_few.expect_wrong_input("the grid has 2 points for each of 2 conditions", "are 6 trials")
    tight = study_file({"space": rows, "search": {**search, "limits": {"parameters": 100}}})
    refused = mvkt("search", tight, *given, "--out", tmp_path / "tight", "--dry-run")
    refused.expect_wrong_input(
        "search.limits", "sepconv1d of width 8 and depth 0", "100 parameters"
    )
    # Before the ingest, too: how many classes there are is known of every task.
    fresh = {"data": {"source_options": {"n_recordings": 100, "duration_s": 3}}}
    search = {**search, "limits": {"parameters": 100}}
    unread = study_file({**fresh, "space": rows, "search": search})
    refused = mvkt("search", unread, "--out", tmp_path / "unread", "--in-process", "--dry-run")
    refused.expect_wrong_input("search.limits", "sepconv1d of width 8 and depth 0")
