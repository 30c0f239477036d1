"""A study with its ledger in PostgreSQL is the study that it is in a folder, to the last digit."""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mvkt_ray.cli import app
from mvkt_ray.cli.dashboard_server import dashboard_of
from mvkt_ray.config.study_file import study_from_mapping, write_study
from mvkt_ray.search.ledger.postgres.driver_lock import DriverLock
from mvkt_ray.search.ledger.postgres.noted_server import read_note
from mvkt_ray.search.ledger.postgres.server_connection import Patience
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from tests.cli.test_dashboard_server import ask_application, study_names
from tests.object_store import serve
from tests.postgres_server import PASSWORD, PostgresServer
from tests.search.ledger.test_ledger import ask_dashboard
from tests.whole.test_on_store import OF_A_RUN, STUDY, mvkt, trials_of

pytestmark = pytest.mark.usefixtures("without_images")


@dataclass(frozen=True, kw_only=True)
class Studies:
    """The same study twice."""

    local: StudyFolder
    served: StudyFolder
    """Its files are in a bucket, its ledger is on a server."""
    study: Path
    url: str


@pytest.fixture(scope="module")
def studies(
    tmp_path_factory: pytest.TempPathFactory, postgres_session: PostgresServer
) -> Iterator[Studies]:
    folder = tmp_path_factory.mktemp("studies")
    study, scratch = folder / "tiny.yaml", folder / "scratch"
    study.write_text(write_study(study_from_mapping(STUDY, "tiny")))
    scratch.mkdir()
    servers = serve()
    store = next(servers)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**store.environment, "PGPASSWORD": PASSWORD}.items():
            patch.setenv(name, value)
        patch.setenv("MVKT_CACHE_DIR", str(folder / "cache"))
        patch.setattr(tempfile, "tempdir", str(scratch))
        url, bucket = postgres_session.make_database(), store.make_bucket("ecg")
        line = ("search", study, "--in-process", "--quiet", "--out")
        mvkt(*line, folder / "study")
        served = bucket / "runs/one"
        mvkt(*line, served, "--ledger", url)
        # The folder says where the ledger is: nobody gives it again.
        for each in (folder / "study", served):
            mvkt("finalize", each, "--in-process", "--quiet")
            mvkt("report", each, "--quiet")
        yield Studies(
            local=StudyFolder(Location.parse(folder / "study")),
            served=StudyFolder(served),
            study=study,
            url=url,
        )
    servers.close()


def test_every_trial_and_the_report_are_the_same(studies: Studies) -> None:
    found = trials_of(studies.served)
    assert len(found) == STUDY["search"]["n_trials"]
    assert found == trials_of(studies.local)
    reports: list[dict[str, Any]] = []
    for folder in (studies.served, studies.local):
        report = json.loads(folder.report.read_bytes())
        reports.append({k: v for k, v in report.items() if k not in OF_A_RUN})
        reports[-1]["test_split"].pop("openings")
        reports[-1]["data"].pop("shards")
    assert reports[0]["answer"]["ranked_on"] == "test"
    assert reports[0] == reports[1]


def test_nothing_of_the_ledger_is_in_the_bucket_but_where_it_is(studies: Studies) -> None:
    names = studies.served.root.names()
    assert "ledger.json" in names
    assert not {"ledger", "ledger.db"} & set(names)


def test_status_tells_what_shows_the_ledger(studies: Studies) -> None:
    said = mvkt("status", studies.served.root)
    assert "4 of 4 have ended" in said
    assert f"optuna-dashboard {studies.url.replace('postgresql:', 'postgresql+psycopg:')}" in said


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_dashboard_shows_search_and_finals_by_readable_names(studies: Studies) -> None:
    url = studies.url.replace("postgresql:", "postgresql+psycopg:")
    noted = read_note(studies.served)
    assert noted is not None
    summaries = ask_dashboard(url, "/api/studies")["study_summaries"]
    names = {summary["study_name"]: summary["study_id"] for summary in summaries}
    assert set(names) == {f"tiny [{noted.key}]", f"tiny.finals-01 [{noted.key}]"}
    shown = ask_dashboard(url, f"/api/studies/{names[f'tiny [{noted.key}]']}")["trials"]
    assert [trial["state"] for trial in shown] == ["Complete"] * 4


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_our_dashboard_reads_the_server_and_cannot_change_it(studies: Studies) -> None:
    with dashboard_of(studies.served) as shown:
        assert any(name.startswith("tiny [") for name in study_names(shown))
        status, _ = ask_application(shown, "/api/studies/1", "DELETE")
        assert status.startswith("405")


def test_a_second_driver_is_refused_and_is_told_of_the_first(studies: Studies) -> None:
    noted = read_note(studies.served)
    assert noted is not None
    lock = DriverLock.take(noted.address, noted.key, "the study", Patience())
    words = ("search", "--resume", "--out", str(studies.served.root), "--in-process")
    refused = CliRunner().invoke(app, words)
    lock.give_back()
    assert refused.exit_code == 2
    assert f"is in use: process {os.getpid()} on " in refused.output
