"""Facts of a finished run: recordings, seeds, cost, versions, fingerprints, openings."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_study
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.search.finals.finals_results import FinalsResults
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.storage.artifacts import read_manifest

PACKAGES = ("mvkt-ray", "torch", "numpy", "scipy", "ray", "optuna")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """What a reader needs to judge a page, or to make it again."""

    config: StudyConfig
    n_recordings: dict[str, int]
    """By split."""
    n_trainings: int
    n_ended: dict[str, int]
    """By how they ended."""
    cpu_s: float
    """Of all trainings of the finals."""
    stage_s: dict[str, float]
    """Wall time of the stages before them."""
    n_nodes: int
    n_cores: int
    """Of the machine that writes the page."""
    versions: dict[str, str]
    fingerprints: dict[str, str]
    openings: tuple[Opening, ...]


def gather_facts(folder: StudyFolder, finals: FinalsResults) -> RunFacts:
    """Read the facts of a study and its finals; of the test split only how many it has."""
    config = read_study(folder.study_file.local_path)
    inputs = {
        kind: location for kind, location in folder.read_inputs().items() if location is not None
    }
    shards = open_shards(inputs["shards"])
    task = shards.task(config.data.task)
    splits = open_training_splits(shards, task, config.data.folds, config.data.min_likelihood)
    results = [record.result for record in finals.records if record.result is not None]
    ended: dict[str, int] = {}
    for result in results:
        ended[result.state.value] = ended.get(result.state.value, 0) + 1
    return RunFacts(
        config=config,
        n_recordings={"train": len(splits.train), "validation": len(splits.val)}
        | {"test": splits.n_test},
        n_trainings=len(finals.records),
        n_ended=ended,
        cpu_s=sum(result.cpu_s for result in results),
        stage_s=folder.stage_times(),
        n_nodes=len({result.node for result in results}),
        n_cores=os.cpu_count() or 1,
        versions={"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        fingerprints={
            kind: read_manifest(location).fingerprint for kind, location in inputs.items()
        },
        openings=finals.openings,
    )
