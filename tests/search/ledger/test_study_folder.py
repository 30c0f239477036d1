"""Small files of a study are read as they were written; those of another study are refused."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import ArtifactError
from mvkt_ray.records import Reservation, Usage
from mvkt_ray.search.ledger.postgres.noted_server import NotedServer, bind_note, read_note
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

CONFIG = StudyConfig(name="best_lead")
NOTED = NotedServer(address=ServerAddress(host="db.lab", database="ecg"), key="3f9a01cc")
USED = Usage(kept=(Reservation(node=None, cpus=1.0, gpus=0.0, worker_s=3.25),))

READERS: Mapping[str, tuple[object, Callable[[StudyFolder], Any]]] = {
    "stages.json": ({"shards": 2.0, "teacher": 3.0}, StudyFolder.stage_times),
    "plugins.json": ({"mvkt-lab": "1.0.0"}, StudyFolder.read_plugins),
    "teacher_usage.json": (USED, StudyFolder.read_teacher_usage),
    "assistants/usage.json": ({"II": USED}, lambda folder: folder.assistants.read_usage()),
    "ledger.json": (NOTED, read_note),
}


def begun(root: Path, config: StudyConfig) -> StudyFolder:
    """Write what a search writes, in its order."""
    folder = StudyFolder(Location.parse(root))
    folder.root.make_directory()
    folder.ledger_note.write_bytes(NOTED.to_json(folder.fingerprint))
    folder.add_stage_time("shards", 2.0)
    bind_note(folder, config)
    folder.begin(config, {"mvkt-lab": "1.0.0"})
    folder.add_stage_time("teacher", 3.0)
    folder.write_teacher_usage(USED)
    folder.assistants.write_usage({"II": USED})
    return folder


@pytest.mark.parametrize("name", READERS)
def test_a_file_is_read_by_its_own_study_alone_however_long_that_goes_on(
    name: str, tmp_path: Path
) -> None:
    expected, read = READERS[name]
    folder = begun(tmp_path / "study", CONFIG)
    assert read(folder) == expected
    folder.write_config(replace(CONFIG, search=replace(CONFIG.search, n_trials=999)))
    assert read(folder) == expected
    other = begun(tmp_path / "other", replace(CONFIG, seed=7))
    (folder.root / name).write_bytes((other.root / name).read_bytes())
    with pytest.raises(ArtifactError, match=rf"/{name} cannot.*another study.*estore it") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


def test_a_study_that_begins_anew_leaves_nothing_of_the_one_that_did_not_come_so_far(
    tmp_path: Path,
) -> None:
    folder = begun(tmp_path, CONFIG)
    folder.study_file.delete()
    changed = replace(CONFIG, seed=7)
    bind_note(folder, changed)
    folder.begin(changed, {})
    assert folder.read_plugins() == {}
    assert read_note(folder) == NOTED
    assert folder.stage_times() == READERS["stages.json"][0]
