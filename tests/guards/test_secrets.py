"""Nothing that a search writes holds a secret of whoever ran it, wherever he has it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mvkt_ray.cli.cluster.search_line import read_search_line
from mvkt_ray.cli.cluster.submit import _variables
from mvkt_ray.errors import ConfigError, StoreError
from mvkt_ray.storage.location import Location
from tests.ports import free_port
from tests.postgres_server import PASSWORD, PostgresServer

SECRET = "PLANTED-S3CRET"

ENVIRONMENT = {
    name: f"{SECRET}-{name}"
    for name in (
        *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "WANDB_API_KEY"),
        *("MLFLOW_TRACKING_PASSWORD", "RAY_AUTH_TOKEN"),
    )
}
"""Variables that hold nothing but a secret."""

STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 40, "seed": 3, "duration_s": 3.0},
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 1},
    "resources": {"precision": "float32"},
    "space": {"student": "sepconv1d_tiny", "batch_size": 8, "n_negatives": 8},
    "search": {"leads": ["I"], "n_trials": 1, "baselines": []},
}


def test_no_file_table_or_line_of_a_search_holds_a_secret(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    url, nowhere = postgres.make_database(), free_port()
    study, out = tmp_path / "tiny.yaml", tmp_path / "out"
    study.write_text(yaml.safe_dump(STUDY))
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "HTTPS_PROXY": f"http://ann:{SECRET}@127.0.0.1:{nowhere}",
        "MLFLOW_TRACKING_URI": f"http://ann:{SECRET}@127.0.0.1:{nowhere}",
        # The tracker is not there: what its client says of that goes into the log.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    }
    words = [
        *("search", str(study), "--out", str(out), "--in-process", "--ledger", url),
        *("--tracker", f"mlflow=http://ann:{SECRET}@127.0.0.1:{nowhere}/?token={SECRET}"),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mvkt_ray", *words],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "tracker mlflow=http://***@" in done.stderr
    manifest = json.loads((out / "teacher" / "manifest.json").read_bytes())
    assert "--tracker 'mlflow=http://***@" in manifest["command"]

    written = {str(path): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert {"report.json", "ledger.json"} <= {Path(name).name for name in written}
    written["stdout"], written["stderr"] = done.stdout.encode(), done.stderr.encode()
    written["database"] = dump_of(postgres, url).encode()
    assert b"tiny [" in written["database"]
    found = [name for name, text in written.items() if SECRET.encode() in text]
    found += [name for name, text in written.items() if PASSWORD.encode() in text]
    assert found == []


def dump_of(postgres: PostgresServer, url: str) -> str:
    """Every row of every table, as text."""
    with postgres.connect(url) as connection:
        row = connection.execute("SELECT database_to_xml(true, false, '')").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--tracker", f"mlflow=https://ann:{SECRET}@mlflow.lab"],
            "everybody who can list its jobs",
        ),
        (["--tracker", f"mlflow=https://{SECRET}@mlflow.lab"], "everybody who can list its jobs"),
        (["--ledger", f"postgresql://ann:{SECRET}@db.lab/ecg"], "holds a password"),
    ],
)
def test_a_secret_is_sent_to_no_cluster_in_a_line(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_search_line(["study.yaml", "--out", "s3://ecg/one", *words])
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", [*ENVIRONMENT, "PGPASSWORD"])
def test_a_secret_is_put_into_no_jobs_environment(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRET)
    for pair in (name, f"{name}={SECRET}"):
        with pytest.raises(ConfigError, match="looks like a secret") as caught:
            _variables([pair])
        assert SECRET not in str(caught.value)


def test_what_is_no_secret_is_put_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    pairs = ["AWS_REGION", "PGPASSFILE=/etc/pgpass", "RAY_AUTH_TOKEN_PATH=/t", "PGUSER=ann"]
    assert set(_variables(pairs)) == {pair.partition("=")[0] for pair in pairs}


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_store_with_keys_in_its_uri_is_refused(scheme: str) -> None:
    with pytest.raises(StoreError, match="contains credentials") as caught:
        Location.parse(f"{scheme}://ann:{SECRET}@ecg/one").exists()
    assert SECRET not in str(caught.value)
