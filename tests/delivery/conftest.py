"""Made-up studies before and after their finals, made once; nobody writes into them."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.sources import open_source
from mvkt_ray.delivery.report.report_json import plain_report
from mvkt_ray.delivery.write_report import build_report
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location

sys.path.insert(0, str(Path(__file__).parent))

from made_up_finals import make_up_finals
from made_up_study import Maker, Recipe, made_up_config, without_waiting_for_the_disk

MakeStudy = Callable[..., StudyFolder]
MakeFinals = Callable[..., FinalsResults]


@pytest.fixture(scope="session")
def make_finals() -> MakeFinals:
    """Make finals in memory; see `made_up_finals`."""
    return make_up_finals


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Location:
    """Shards of synthetic recordings."""
    location = Location.parse(tmp_path_factory.mktemp("recordings") / "shards")
    source = open_source("synthetic", "", {"n_recordings": 400, "duration_s": 3})
    ingest(source, location, IngestSettings(sampling_rate_hz=100))
    return location


@pytest.fixture(scope="session")
def made_up_study_config() -> StudyConfig:
    """The study that `make_study` makes of no fields."""
    return made_up_config()


@pytest.fixture(scope="session")
def make_study(recordings: Location, tmp_path_factory: pytest.TempPathFactory) -> MakeStudy:
    """Make a study of a recipe's fields; with its finals, unless told not to."""

    def make(**fields: Any) -> StudyFolder:
        recipe = Recipe(**{"config": made_up_config(), **fields})
        folder = StudyFolder(Location.parse(tmp_path_factory.mktemp("made-up") / "study"))
        maker = Maker(folder, recordings, recipe)
        with without_waiting_for_the_disk():
            maker.search()
            if recipe.has_finals:
                maker.finals()
            if recipe.reason_again is not None:
                maker.finals(2, recipe.reason_again)
        return folder

    return make


@pytest.fixture(scope="session")
def final_study(make_study: MakeStudy) -> StudyFolder:
    """A study after its finals; nobody writes into it."""
    return make_study()


@pytest.fixture(scope="session")
def searched_study(make_study: MakeStudy) -> StudyFolder:
    """A study after its search, before finals; nobody writes into it."""
    return make_study(has_finals=False)


@pytest.fixture(scope="session")
def final_report(final_study: StudyFolder) -> dict[str, Any]:
    """The report after finals."""
    return plain_report(build_report(final_study))


@pytest.fixture(scope="session")
def searched_report(searched_study: StudyFolder) -> dict[str, Any]:
    """The report before finals."""
    return plain_report(build_report(searched_study))


@pytest.fixture
def copy_of(tmp_path: Path) -> Callable[[StudyFolder], StudyFolder]:
    """Copy a study, to write into it or to damage it."""

    def copy(study: StudyFolder) -> StudyFolder:
        target = tmp_path / "copy"
        shutil.copytree(study.root.local_path, target)
        folder = StudyFolder(Location.parse(target))
        value = json.loads(folder.inputs_file.read_bytes())
        assert not value["teacher"].startswith("/")
        return folder

    return copy
