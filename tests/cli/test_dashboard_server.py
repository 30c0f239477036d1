"""`mvkt dashboard`: what a browser sees, that nothing is changed, and how it ends."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.cli.dashboard_server import dashboard_of, open_server
from mvkt_ray.errors import ConfigError
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.sqlite_url import url_of
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

QUIET = ("ignore::DeprecationWarning", "ignore::FutureWarning")
pytestmark = [pytest.mark.usefixtures("without_images"), *map(pytest.mark.filterwarnings, QUIET)]


def ask_application(application: Any, path: str, method: str = "GET") -> tuple[str, Any]:
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": "after=0"}
    statuses: list[str] = []
    body = b"".join(application(environ, lambda status, *_: statuses.append(status)))
    return statuses[0], json.loads(body)


def study_names(application: Any) -> list[str]:
    _, value = ask_application(application, "/api/studies")
    return [study["study_name"] for study in value["study_summaries"]]


def test_a_study_is_shown_to_its_end_and_cannot_be_deleted(study_dir: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study_dir, tmp_path / "a study?v=2"))
    before = (out / "ledger.db").read_bytes()
    line = [sys.executable, "-m", "mvkt_ray", "dashboard", str(out), "--port", "0", "--json"]
    program = subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        assert program.stdout is not None
        text = ""
        while "}" not in text:
            read = program.stdout.readline()
            assert read, program.communicate()
            text += read
        url = json.loads(text)["url"]
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}api/studies") as answer:
            (study,) = json.load(answer)["study_summaries"]
        assert study["study_name"] == "tiny"
        delete = urllib.request.Request(f"{url}api/studies/{study['study_id']}", method="DELETE")
        with pytest.raises(urllib.error.HTTPError, match="405") as refused:
            urllib.request.urlopen(delete)
        refused.value.close()
    finally:
        program.send_signal(signal.SIGINT)
        _, said = program.communicate()
    assert program.returncode == 0, said
    assert "Traceback" not in said
    assert "dashboard closed" in said
    assert (out / "ledger.db").read_bytes() == before
    assert not list(out.glob("ledger.db-*"))


def test_what_a_running_study_adds_is_seen(study_dir: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(study_dir, tmp_path / "study"))
    with dashboard_of(StudyFolder(Location.parse(out)), copied_again_after_s=0.0) as shown:
        assert study_names(shown) == ["tiny"]
        Ledger.create(LedgerDatabase(url_of(out / "ledger.db")), "tiny.finals-01").close()
        assert study_names(shown) == ["tiny", "tiny.finals-01"]
        status, value = ask_application(shown, "/api/studies", "POST")
    assert status.startswith("405")
    assert "changes nothing" in value["reason"]


def test_a_port_that_is_taken_is_said_and_another_one_is_found_where_none_was_given() -> None:
    def nobody(environ: Any, start: Any) -> list[bytes]:
        return []

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port} .*another --port"):
            open_server(nobody, "127.0.0.1", port)
    with pytest.raises(ConfigError, match="another --port"):
        open_server(nobody, "127.0.0.1", 70_000)
    with open_server(nobody, "127.0.0.1", None) as first:
        with open_server(nobody, "127.0.0.1", None) as second:
            assert first.server_port != second.server_port


def test_where_nothing_is_to_be_shown_it_is_said(mvkt: Any, home: Path, tmp_path: Path) -> None:
    mvkt("dashboard", tmp_path).expect_wrong_input("holds no study")
    (tmp_path / "study.yaml").write_bytes((home / "tiny.yaml").read_bytes())
    mvkt("dashboard", tmp_path).expect_wrong_input("not started its first trial", "mvkt status")
    assert not (tmp_path / "ledger.db").exists()


def test_without_the_extra_it_says_what_to_install(
    mvkt: Any, study_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    mvkt("dashboard", study_dir).expect_wrong_input("pip install 'mvkt-ray[dashboard]'")
