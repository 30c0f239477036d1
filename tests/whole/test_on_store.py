"""A study on an object store is the study that it is in a folder, to the last digit."""

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.config.study_file import study_from_mapping, write_study
from mvkt_ray.delivery.report.report_json import report_schema
from mvkt_ray.on_ray.jobs.jobs_api import Job
from mvkt_ray.search.ledger.lease import is_leased
from mvkt_ray.search.ledger.shipped_ledger import ends_log, read_head
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study_opening import open_study
from mvkt_ray.storage.location import Location
from tests.object_store import Request, S3Server, serve

pytestmark = pytest.mark.usefixtures("without_images")

STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 60, "seed": 3, "duration_s": 4.0},
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 2},
    # Else each study measures it, and two that are compared could come to different ones.
    "resources": {"precision": "float32"},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 8,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {"leads": ["I", "V2"], "n_trials": 4, "baselines": ["student_alone"]},
    "finals": {"n_seeds": 1, "baselines": ["student_alone"]},
}

OF_A_RUN = {"made_at", "cost", "provenance", "openings", "data_reason", "study_summary"}
"""Parts of a report that tell when, where and in what time it was made."""


@dataclass(frozen=True, kw_only=True)
class Studies:
    """The same study twice."""

    local: StudyFolder
    on_store: StudyFolder
    server: S3Server
    scratch: Path
    """Where everything goes that a driver keeps on its machine."""
    finalize: tuple[Request, ...]
    """What `mvkt finalize` asked of the store."""


def mvkt(*words: object) -> str:
    """Run a line of the command line in this process, and return what it answers."""
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def run_everything(study: Path, out: str, data: str, server: S3Server) -> tuple[Request, ...]:
    mvkt("search", study, "--data", data, "--out", out, "--in-process", "--quiet")
    server.forget_requests()
    mvkt("finalize", out, "--in-process", "--quiet")
    asked = tuple(server.requests)
    mvkt("report", out, "--quiet")
    return asked


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studies]:
    folder = tmp_path_factory.mktemp("studies")
    study, scratch = folder / "tiny.yaml", folder / "scratch"
    study.write_text(write_study(study_from_mapping(STUDY, "tiny")))
    scratch.mkdir()
    servers = serve()
    server = next(servers)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setenv("MVKT_CACHE_DIR", str(folder / "cache"))
        patch.setattr(tempfile, "tempdir", str(scratch))
        bucket = server.make_bucket("ecg")
        of_source = STUDY["data"]["source_options"].items()
        options = [word for name, value in of_source for word in ("--option", f"{name}={value}")]
        for parent in (folder, bucket):
            shards = f"{parent}/shards"
            mvkt("ingest", "synthetic", "-", shards, "--rate", 50, *options, "--in-process")
        run_everything(study, f"{folder}/study", f"{folder}/shards", server)
        finalize = run_everything(study, f"{bucket}/runs/one", f"{bucket}/shards", server)
        yield Studies(
            local=StudyFolder(Location.parse(folder / "study")),
            on_store=StudyFolder(bucket / "runs/one"),
            server=server,
            scratch=scratch,
            finalize=finalize,
        )
    servers.close()


def trials_of(folder: StudyFolder) -> list[Any]:
    _, study = open_study(folder)
    rows = [(r.trial, r.drawn, r.values, r.state, r.macro_auroc) for r in study.trials()]
    study.close()
    return rows


def test_every_trial_has_the_same_numbers(studies: Studies) -> None:
    found = trials_of(studies.on_store)
    assert len(found) == 4
    assert found == trials_of(studies.local)


def test_the_report_is_the_same_but_for_when_and_where(studies: Studies) -> None:
    ours, theirs = (
        {k: v for k, v in json.loads(f.report.read_bytes()).items() if k not in OF_A_RUN}
        for f in (studies.on_store, studies.local)
    )
    for report, folder in ((ours, studies.on_store), (theirs, studies.local)):
        report["test_split"].pop("openings")
        shards = folder.read_inputs()["shards"]
        assert report["data"].pop("shards") == str(shards)
    assert ours["answer"]["ranked_on"] == "test"
    assert ours == theirs


def test_all_files_of_a_study_are_there_and_none_stays_behind(studies: Studies) -> None:
    def names(folder: StudyFolder) -> set[str]:
        left_out = ("logs/", "ledger", "ray/")
        return {n for n in folder.root.file_names() if not n.startswith(left_out)}

    assert names(studies.on_store) == names(studies.local)
    assert studies.on_store.root.names().count("logs") <= 1
    assert list(studies.scratch.glob("mvkt*")) == []
    # A ledger, and a lease that was given back.
    ledger = studies.on_store.shipped_ledger
    *generations, head, lease = ledger.names()
    assert (head, lease) == ("head.json", "lease.json")
    # Of one before there is only what closes it.
    assert all((ledger / name).names() for name in generations)
    for name in generations[:-1]:
        sizes = (ledger / name).file_sizes()
        assert all(ends_log(piece, n_bytes) for piece, n_bytes in sizes.items())
    assert not is_leased(ledger)


def test_inputs_inside_the_study_are_noted_relative_to_it(studies: Studies) -> None:
    inputs = json.loads(studies.on_store.inputs_file.read_bytes())
    assert inputs["teacher"] == "teacher"
    assert inputs["knowledge"] == "knowledge"


def test_readers_change_nothing(studies: Studies) -> None:
    studies.server.forget_requests()
    out = str(studies.on_store.root)
    state = json.loads(mvkt("status", out, "--json"))
    assert state["n_finished"] == 4
    described = json.loads(mvkt("inspect", out, "--json"))
    assert described["kind"] == "study"
    again = json.loads(mvkt("rerun", out, 2, "--json"))
    assert again["equal"] is True
    for method in ("PUT", "POST", "DELETE"):
        assert studies.server.asked(method) == []


def ledger_fetches(requests: Iterable[Request]) -> Counter[str]:
    """How often the snapshot, and each piece of the log that follows it, was fetched."""
    keys = [request.key for request in requests if request.method == "GET"]
    return Counter(key for key in keys if key.startswith("runs/one/ledger/0"))


READERS: dict[str, tuple[str, ...]] = {
    "status": ("status", "STUDY"),
    "inspect": ("inspect", "STUDY"),
    "status with a copy": ("status", "STUDY", "--ledger-copy", "NEW_FILE"),
    "report": ("report", "STUDY"),
    "rerun": ("rerun", "STUDY", "1"),
    "finalize --dry-run": (
        *("finalize", "STUDY", "--in-process"),
        *("--again", "to look", "--dry-run"),
    ),
    "cluster status": ("cluster", "status", "--address", "http://head:8265", "a-job"),
}


@pytest.mark.parametrize("command", READERS)
def test_a_reader_fetches_each_piece_of_the_ledger_once_and_takes_no_lease(
    studies: Studies, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, head = studies.on_store.root, read_head(studies.on_store.shipped_ledger)
    assert head is not None
    of_a_job = Job(
        job_id="a-job",
        state="RUNNING",
        message="",
        command="mvkt search",
        exit_code=None,
        started_at=None,
        ended_at=None,
        notes={"out": str(root)},
    )
    jobs = contextlib.nullcontext(SimpleNamespace(find=lambda _: of_a_job))
    monkeypatch.setattr("mvkt_ray.on_ray.jobs.jobs_api.open_jobs", lambda *_: jobs)
    stand_for = {"STUDY": str(root), "NEW_FILE": str(tmp_path / "copy.db")}
    studies.server.forget_requests()
    mvkt(*(stand_for.get(word, word) for word in READERS[command]))

    asked = list(studies.server.requests)
    folder = studies.on_store.shipped_ledger / head.generation
    assert ledger_fetches(asked) == Counter(
        {
            f"runs/one/ledger/{head.generation}/{name}": 1
            for name, size in folder.file_sizes().items()
            if size
        }
    )
    writes = [r for r in asked if r.method != "GET" and r.method != "HEAD"]
    assert not [request for request in writes if "/ledger/" in request.key]


def test_finalize_fetches_the_ledger_once_and_looks_at_its_end_before_it_closes_it(
    studies: Studies,
) -> None:
    fetches = ledger_fetches(studies.finalize)
    assert len(fetches) > 1
    assert sorted(fetches.values()) == [1] * (len(fetches) - 1) + [2]


def test_finals_that_are_refused_leave_the_ledger_as_it_is_and_no_lease(studies: Studies) -> None:
    ledger = studies.on_store.shipped_ledger

    def written() -> tuple[str, dict[str, str]]:
        head = read_head(ledger)
        assert head is not None
        folder = ledger / head.generation
        # What closes a log is nothing in it.
        sizes = folder.file_sizes()
        names = [name for name, n_bytes in sizes.items() if not ends_log(name, n_bytes)]
        return head.generation, {name: (folder / name).sha256() for name in names}

    before = written()
    done = CliRunner().invoke(app, ["finalize", str(studies.on_store.root), "--in-process"])
    assert done.exit_code == 2
    assert "the test split has been opened once" in done.output
    assert written() == before
    assert not is_leased(ledger)


def test_finals_of_a_search_that_has_written_no_trial_are_refused_and_nothing_is_written(
    studies: Studies,
) -> None:
    begun = StudyFolder(studies.on_store.root.parent / "begun")
    begun.study_file.write_bytes(studies.local.study_file.read_bytes())
    done = CliRunner().invoke(app, ["finalize", str(begun.root), "--in-process"])
    assert done.exit_code == 2
    assert "has not started its first trial" in done.output
    assert begun.root.file_names() == ["study.yaml"]


def test_the_ledger_can_be_copied_to_a_file_that_optuna_opens(
    studies: Studies, tmp_path: Path
) -> None:
    for folder in (studies.local, studies.on_store):
        file = tmp_path / f"{folder.root.name}.db"
        mvkt("status", folder.root, "--ledger-copy", file)
        found = optuna.load_study(study_name="tiny", storage=f"sqlite:///{file}")
        assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    again = CliRunner().invoke(app, ["status", str(folder.root), "--ledger-copy", str(file)])
    assert again.exit_code == 2
    assert "exists already" in again.output


def test_a_store_that_cannot_take_a_study_is_told_before_anything_starts(studies: Studies) -> None:
    studies.server.make_bucket("readonly", read_only=True)
    study = str(studies.local.study_file)
    for out, said in (
        ("s3://no-such-bucket/x", "there is no such bucket"),
        ("s3://readonly/x", "read-only"),
        ("s4://ecg/x", "s4:// is not supported"),
        ("s3:/ecg/x", "s3://"),
    ):
        done = CliRunner().invoke(app, ["search", study, "--out", out])
        assert done.exit_code == 2, done.output
        assert said in " ".join(done.output.split())
        assert "Traceback" not in done.output
        for verb in ("status", "report"):
            done = CliRunner().invoke(app, [verb, out])
            assert done.exit_code == 2, done.output


def test_a_finished_study_on_a_store_is_in_use_and_can_be_extended(studies: Studies) -> None:
    out = str(studies.on_store.root)
    done = CliRunner().invoke(app, ["search", "--out", out, "--in-process"])
    assert done.exit_code == 2
    mvkt("search", "--out", out, "--resume", "--max-trials", 5, "--in-process", "--quiet")
    assert len(trials_of(studies.on_store)) == 5
    assert report_schema()["properties"]


def test_a_search_restores_its_ledger_once(studies: Studies, tmp_path: Path) -> None:
    out = str(studies.on_store.root)

    def n_restored(*words: object) -> int:
        studies.server.forget_requests()
        mvkt(*words)
        return sum(r.key.endswith("/snapshot.db") for r in studies.server.asked("GET"))

    of_the_report = n_restored("report", out, "--quiet")
    resumed = ("search", "--out", out, "--resume", "--in-process")
    # A report is made at the end of a search.
    assert n_restored(*resumed, "--quiet") - of_the_report == 1
    assert n_restored(*resumed, "--dry-run") == 1
    for method in ("PUT", "POST", "DELETE"):
        assert studies.server.asked(method) == []
    study, data = studies.local.study_file, studies.on_store.root.parent.parent / "shards"
    new = ("search", study, "--data", data, "--out", tmp_path / "new", "--in-process")
    assert n_restored(*new, "--like", out, "--dry-run") == 1


def test_what_nobody_needs_is_found_and_removed_alike(studies: Studies) -> None:
    for folder in (studies.local, studies.on_store):
        left = folder.trials / "00001" / "checkpoint.pt"
        left.write_bytes(b"of a killed process")
        (folder.teacher.parent / "teacher.partial" / "one.pt").write_bytes(b"likewise")
        listed = json.loads(mvkt("gc", folder.root, "--json"))["files"]
        # Of trials that a test before has added to one of them the weights may go, too.
        others = set(listed) - {f"{folder.root}/teacher.partial/one.pt", str(left)}
        assert len(others) == len(listed) - 2
        assert all(file.endswith("/student.safetensors") for file in others)
        gone = {file.removeprefix(f"{folder.root}/") for file in listed}
        needed, n_trials = set(folder.root.file_names()) - gone, len(trials_of(folder))
        mvkt("gc", folder.root, "--delete", "--quiet")
        # Whoever drives a study on a store writes its lease, and gives it back.
        now = {name for name in folder.root.file_names() if not name.startswith("ledger/")}
        assert now == {name for name in needed if not name.startswith("ledger/")}
        assert json.loads(mvkt("gc", folder.root, "--json"))["files"] == []
        assert len(trials_of(folder)) == n_trials
