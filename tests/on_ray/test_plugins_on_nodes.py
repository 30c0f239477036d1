"""Plug-ins on a cluster: a node without one is refused, and trials with one run on every node."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from own_cluster import own_cluster
from ray.cluster_utils import Cluster

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ClusterError
from mvkt_ray.on_ray.driver import OnRay
from mvkt_ray.records import TrialState
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.location import Location
from tests.installed_plugins import EXAMPLE_PACKAGE, install_example
from tests.planned_search import Silent, plan_and_run

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with own_cluster(2) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    install_example(site, tmp_path_factory.mktemp("build"))
    return site


def study() -> StudyConfig:
    space = {
        "student": "two_layers",
        "batch_size": 32,
        "clt_weight": 0.0,
        "plugin_loss": "logit_distance",
        "plugin_weight": {"low": 0.1, "high": 1.0},
    }
    return study_from_mapping(
        {
            "name": "on_two_nodes",
            "data": {
                "source": "synthetic",
                "task": "sick_or_not",
                "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
            },
            "view": {"crop_s": 1.0, "grid_s": 3.0, "stride_s": 5.0},
            "teacher": {"network": "two_layers", "epochs": 1, "batch_size": 32},
            "student": {"epochs": 1, "knowledge": "online"},
            "resources": {"precision": "float32"},
            "space": space,
            "search": {"leads": ["II"], "n_trials": 2, "baselines": [], "pruner": {"kind": "none"}},
        },
        "here",
    )


def test_nodes_without_a_plugin_are_refused_and_nodes_with_it_train_with_it(
    cluster: Cluster, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with OnRay.connect(cluster.address) as runner:
        # Found by this process from now on, and by none of the workers, which are told where this
        # process imports from when it connects.
        monkeypatch.syspath_prepend(site)
        with pytest.raises(ClusterError, match=r"lacks ecg-extras, here it is 1\.0.*lacks ecg-ext"):
            runner.expect_plugins(EXAMPLE_PACKAGE)

    shards = Location.parse(tmp_path / "shards")
    ingest(open_source("synthetic", "", {"n_recordings": 80, "duration_s": 3}), shards)
    folder = StudyFolder(Location.parse(tmp_path / "study"))
    with OnRay.connect(cluster.address) as runner:
        done = plan_and_run(study(), folder, runner, Silent(), data=shards)
    records = done.trials()
    done.close()
    assert [record.state for record in records] == [TrialState.COMPLETE] * 2
    assert folder.read_plugins() == EXAMPLE_PACKAGE
