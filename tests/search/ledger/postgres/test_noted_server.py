"""A study's folder says where its ledger is, and by which key it is told from all others."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mvkt_ray.errors import ArtifactError, ConfigError
from mvkt_ray.search.ledger.ledger_database import driving, has_ledger, is_driven, reading
from mvkt_ray.search.ledger.postgres.noted_server import check_note, read_note, settle_note
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.study_identity import sealed_for
from mvkt_ray.search.study import Study
from mvkt_ray.storage.location import Location
from tests.begun_study import begun_study

if TYPE_CHECKING:
    from conftest import ServerLab

ELSEWHERE = ServerAddress(host="db.lab", database="ecg")


def test_two_studies_of_one_name_share_a_database_and_run_at_once(
    server_lab: "ServerLab", tmp_path: Path
) -> None:
    config = server_lab.config(n_trials=3, baselines=())
    study = server_lab.open(config)
    server_lab.run(study)
    other = type(server_lab)(tmp_path / "another", server=server_lab.server)
    with other.drive() as database:
        assert not has_ledger(other.study_folder)
        beside = begun_study(config, study.space, database, inputs={"shards": "s" * 64})
        other.run(beside, until=lambda: len(beside.trials()) == 2)
        assert is_driven(server_lab.study_folder)
        assert is_driven(other.study_folder)
        beside.close()
    assert not is_driven(other.study_folder)
    assert len(server_lab.look(config).trials()) == 3
    assert len(other.look(config).trials()) == 2
    other.opened[0].close()


def test_a_study_that_has_not_begun_leaves_no_tables(server_lab: "ServerLab") -> None:
    with server_lab.drive():
        assert not has_ledger(server_lab.study_folder)
    with (
        reading(server_lab.study_folder) as database,
        pytest.raises(ArtifactError, match="holds no study 'lab'"),
    ):
        Study.open(server_lab.config(), database)


def test_a_ledger_is_sought_where_it_is_noted_and_nowhere_else(server_lab: "ServerLab") -> None:
    server_lab.open(server_lab.config()).close()
    folder, noted = server_lab.study_folder, read_note(server_lab.study_folder)
    assert noted is not None
    assert settle_note(folder, None) == noted
    assert settle_note(folder, noted.address) == noted
    with pytest.raises(ConfigError, match=r"the ledger of .* is at postgresql://mvkt@127"):
        settle_note(folder, ELSEWHERE)
    assert read_note(folder) == noted


def test_a_ledger_does_not_move_by_a_flag(tmp_path: Path) -> None:
    folder = StudyFolder(Location.parse(tmp_path / "study"))
    folder.root.make_directory()
    folder.ledger.write_bytes(b"")
    with pytest.raises(ConfigError, match="has its ledger in the folder already"):
        check_note(folder, None, ELSEWHERE)
    with (
        pytest.raises(ConfigError, match="has its ledger in the folder already"),
        driving(folder, server=ELSEWHERE),
    ):
        raise AssertionError("it drives")
    assert not folder.ledger_note.exists()


DAMAGED_URL = {
    "url": "po3tgresql://db/ecg",
    "study": json.loads(sealed_for(None, {"key": "3f9a01cc"})),
}
ANOTHER_KEY = {"key": "00000000", "sha256": "0" * 64}


@pytest.mark.parametrize(
    "value",
    [
        *("{", [], DAMAGED_URL, {"url": "postgresql://db/ecg"}),
        {"url": "postgresql://db/ecg", "study": ANOTHER_KEY},
    ],
)
def test_a_damaged_note_is_a_paragraph(tmp_path: Path, value: object) -> None:
    folder = StudyFolder(Location.parse(tmp_path))
    folder.ledger_note.write_bytes(json.dumps(value).encode())
    with pytest.raises(ArtifactError, match=r"ledger\.json cannot be read.*Restore it"):
        read_note(folder)
