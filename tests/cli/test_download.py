"""`mvkt download`: what it says, and what it refuses."""

from pathlib import Path
from typing import Any

from tests.file_server import serve_folder
from tests.tiny_datasets import make_cinc2021, write_sums


def test_a_database_is_downloaded_said_and_ingested(mvkt: Any, tmp_path: Path) -> None:
    mirror, dest, shards = tmp_path / "mirror", tmp_path / "dest", tmp_path / "shards"
    make_cinc2021(mirror)
    write_sums(mirror)
    with serve_folder(mirror) as server:
        line = ("download", "cinc2021", dest, "--from", server.url, "--only", "georgia")
        first = mvkt(*line)
        again = mvkt(*line, "--json")
    assert first.exit_code == 0, first.stderr
    assert "6 fetched, 0 there already, 0 repaired" in first.stdout
    assert f"mvkt ingest cinc2021 {dest} SHARDS" in first.stdout
    assert (again.json["n_kept"], again.json["n_fetched"]) == (6, 0)
    done = mvkt("ingest", "cinc2021", dest, shards, "--in-process", "--json")
    assert done.exit_code == 0, done.stderr
    assert done.json["counts"]["n_recordings"] == 3


def test_what_cannot_be_downloaded_is_one_paragraph(mvkt: Any, tmp_path: Path) -> None:
    mvkt("download", "mimic", tmp_path).expect_wrong_input("'mimic'", "ptbxl, cpsc2018, cinc2021")
    line = ("download", "cinc2021", tmp_path, "--rate", 100)
    mvkt(*line).expect_wrong_input("--rate 100 is an option of ptbxl")
    mvkt("download", "ptbxl", tmp_path, "--rate", 250).expect_wrong_input("'250'", "100, 500")
    line = ("download", "cinc2021", tmp_path, "--only", "goergia")
    mvkt(*line).expect_wrong_input("'goergia'", "georgia")
    line = ("download", "ptbxl", tmp_path / "new", "--from", tmp_path)
    mvkt(*line).expect_wrong_input("has no SHA256SUMS.txt")
    assert not list(tmp_path.glob("[!.]*"))
