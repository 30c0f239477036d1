import contextlib
import json
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest

from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import TrialState
from mvkt_ray.search.ledger.ledger import Ledger
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase

if TYPE_CHECKING:
    from conftest import Lab


def ask_dashboard(url: str, path: str) -> Any:
    """Call optuna-dashboard's own application, as its server would."""
    from optuna_dashboard import wsgi

    environ: dict[str, Any] = {"PATH_INFO": path, "QUERY_STRING": "after=0"}
    setup_testing_defaults(environ)
    statuses: list[str] = []
    storage = optuna.storages.RDBStorage(url)

    def start(status: str, *_: Any) -> Any:
        statuses.append(status)

    body = b"".join(wsgi(storage)(environ, start))
    storage.remove_session()
    storage.engine.dispose()
    assert statuses == ["200 OK"]
    return json.loads(body)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_dashboard_shows_leads_parameters_and_learning_curves(lab: "Lab") -> None:
    lab.folder = lab.folder / "lead?v=2 100%41 #{x}"
    lab.folder.mkdir()
    study = lab.open(lab.config())
    lab.run(study)
    assert [path.name for path in lab.folder.parent.iterdir()] == [lab.folder.name]
    summaries = ask_dashboard(lab.url, "/api/studies")["study_summaries"]
    assert [summary["study_name"] for summary in summaries] == ["lab"]
    shown = ask_dashboard(lab.url, f"/api/studies/{summaries[0]['study_id']}")["trials"]
    records = study.trials()
    assert len(shown) == len(records)
    for trial, record in zip(shown, records, strict=True):
        params = {param["name"]: param["param_external_value"] for param in trial["params"]}
        assert params.pop("lead") == record.condition
        assert set(params) == set(record.drawn)
        curve = {point["step"]: point["value"] for point in trial["intermediate_values"]}
        assert curve == pytest.approx(record.values)
    pruned = sum(record.state is TrialState.PRUNED for record in records)
    assert [trial["state"] for trial in shown].count("Pruned") == pruned > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_dashboard_shows_the_objectives_of_a_study(lab: "Lab") -> None:
    objectives = ("macro_auroc", "parameters")
    study = lab.open(lab.config(objectives=objectives))
    lab.run(study)
    [summary] = ask_dashboard(lab.url, "/api/studies")["study_summaries"]
    assert summary["directions"] == ["maximize", "minimize"]
    shown = ask_dashboard(lab.url, f"/api/studies/{summary['study_id']}")
    assert shown["objective_names"] == list(objectives)
    for trial, record in zip(shown["trials"], study.trials(), strict=True):
        result = record.result
        assert result is not None
        is_complete = result.state is TrialState.COMPLETE
        values = [result.macro_auroc, float(result.n_parameters)] if is_complete else None
        assert trial.get("values") == values


@pytest.mark.parametrize(
    "content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"x" * 5000]
)
def test_a_damaged_ledger_is_refused_in_one_sentence(lab: "Lab", content: bytes) -> None:
    (lab.folder / "ledger.db").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"the ledger /.*ledger\.db cannot be read") as caught:
        lab.open(lab.config(), resume=True)
    assert "\n" not in str(caught.value)


def test_a_truncated_ledger_is_refused(lab: "Lab") -> None:
    study = lab.open(lab.config())
    lab.run(study)
    study.close()
    whole = lab.ledger_bytes()
    (lab.folder / "ledger.db").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ArtifactError, match="cannot be read"):
        lab.open(lab.config(), resume=True)


def test_trials_that_somebody_else_added_are_refused(lab: "Lab") -> None:
    lab.open(lab.config())
    optuna.load_study(study_name="lab", storage=lab.url).enqueue_trial({"kd_weight": 1.0})
    with pytest.raises(ArtifactError, match="trial 0 of study 'lab' was not written by mvkt-ray"):
        lab.open(lab.config(), resume=True)


def test_who_looks_while_a_ledger_is_made_sees_nothing_or_all_of_it(tmp_path: Path) -> None:
    """Half a database would be completed by whoever opens it, and its driver then fail."""
    seen: list[set[str]] = []

    def look(path: Path, is_made: threading.Event) -> None:
        while not is_made.is_set():
            if path.exists():
                with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
                    rows = base.execute("SELECT name FROM sqlite_master").fetchall()
                seen.append({name for (name,) in rows})

    for number in range(5):
        path, is_made = tmp_path / f"{number}.db", threading.Event()
        looker = threading.Thread(target=look, args=(path, is_made))
        looker.start()
        try:
            Ledger.create(LedgerDatabase(f"sqlite:///{path}"), "lab").close()
        finally:
            is_made.set()
            looker.join()
    assert all(
        {"studies", "trials", "version_info", "alembic_version"} <= tables for tables in seen
    )
