"""The stage of assistants: killed anywhere it comes to the same, and repeats no epoch."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.data.loader import Batch, TrainLoader
from mvkt_ray.errors import TrialError
from mvkt_ray.records import EpochMetrics, TrialResult, TrialState
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.study import Study
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import run_trial
from mvkt_ray.training.teacher import open_teacher
from tests.object_store import S3Server
from tests.planned_search import plan_and_run

TINY: dict[str, Any] = {
    "name": "assisted",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 80, "duration_s": 3},
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5, 6], "val": [7, 8, 9], "test": [10]},
    },
    "view": {"crop_s": 1.0, "grid_s": 2.0, "stride_s": 2.0},
    "teacher": {
        "network": "sepconv1d_tiny",
        "epochs": 1,
        "batch_size": 32,
        "assistant": {"epochs": 2},
    },
    "student": {"epochs": 1},
    "resources": {"precision": "float32"},
    "space": {"student": "sepconv1d_tiny", "batch_size": 32, "n_negatives": 8},
    "search": {"leads": ["II", "V5"], "n_trials": 2, "baselines": [], "pruner": {"kind": "none"}},
}
AT = "mvkt_ray.search.assistants"
EPOCHS = 2


class Killed(BaseException):
    """What a kill is to the code that it hits: no handler of Exceptions sees it."""


class Silent:
    """A listener that is told everything."""

    def stage_started(self, stage: str, what: str) -> None: ...
    def stage_progress(self, done: int, total: int) -> None: ...
    def stage_finished(self, stage: str, what: str, reused: bool) -> None: ...
    def stage_epoch(self, metrics: EpochMetrics) -> None: ...
    def study_opened(self, study: Study) -> None: ...
    def study_changed(self) -> None: ...


def study(**teacher: object) -> StudyConfig:
    return study_from_mapping({**TINY, "teacher": {**TINY["teacher"], **teacher}}, "tiny")


def run(root: Path, config: StudyConfig | None = None) -> StudyFolder:
    folder = StudyFolder(Location.parse(root))
    resume = folder.root.exists()
    plan_and_run(config or study(), folder, InProcess(), Silent(), resume=resume).close()
    return folder


def fingerprints(folder: StudyFolder) -> list[str]:
    at = folder.assistants
    return [
        read_manifest(part).fingerprint
        for lead in ("II", "V5")
        for part in (at.teacher(lead), at.knowledge(lead))
    ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return fingerprints(run(tmp_path_factory.mktemp("undisturbed") / "study"))


KILL_POINTS = {
    "after an epoch": (f"{AT}.assistant_trainings", "AssistantTrainings.report"),
    "after an end": (f"{AT}.assistant_trainings", "AssistantTrainings.tell"),
    "after a price": ("mvkt_ray.search.ledger.study_folder", "AssistantsFolder.write_usage"),
    "after an assistant": (f"{AT}.provide_assistants", "publish_assistant"),
    "after its knowledge": (f"{AT}.provide_assistants", "cache_knowledge"),
}


@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_driver_that_dies_everywhere_comes_to_the_same_assistants_and_repeats_no_epoch(
    point: str, undisturbed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, path = KILL_POINTS[point]
    owner, _, name = path.rpartition(".")
    holder = importlib.import_module(module)
    holder = getattr(holder, owner) if owner else holder
    original = getattr(holder, name)
    seen: set[str] = set()

    def dying(*arguments: Any, **options: Any) -> Any:
        result = original(*arguments, **options)
        # Each call of the undisturbed stage is the last of a driver once.
        call = repr([each for each in arguments if isinstance(each, int | str)])
        epoch = [each.epoch for each in arguments if isinstance(each, EpochMetrics)]
        place = [str(each) for each in arguments if isinstance(each, Location)]
        key = f"{call} {epoch} {place}"
        if key not in seen:
            seen.add(key)
            raise Killed
        return result

    trained: list[int] = []
    epoch_of = TrainLoader.epoch

    def counted(loader: TrainLoader, epoch: int) -> Iterator[Batch]:
        trained.append(epoch)
        return epoch_of(loader, epoch)

    monkeypatch.setattr(holder, name, dying)
    monkeypatch.setattr(TrainLoader, "epoch", counted)
    n_killed = 0
    while True:
        try:
            folder = run(tmp_path / "study")
        except Killed:
            n_killed += 1
            assert n_killed < 20
        else:
            break
    assert n_killed >= 1
    assert fingerprints(folder) == undisturbed
    # One of the teacher, two of each assistant, one of each of two trials.
    assert len(trained) == 1 + 2 * EPOCHS + 2


def test_an_assistant_is_the_same_whichever_leads_are_compared_beside_it(
    undisturbed: list[str], tmp_path: Path
) -> None:
    one = study_from_mapping(
        {**TINY, "search": {**TINY["search"], "leads": ["V5"], "n_trials": 1}}, "tiny"
    )
    at = run(tmp_path / "study", one).assistants
    assert [
        read_manifest(at.teacher("V5")).fingerprint,
        read_manifest(at.knowledge("V5")).fingerprint,
    ] == undisturbed[2:]


def test_an_assistant_that_diverges_ends_the_search_by_name_and_the_others_stay(
    tmp_path: Path,
) -> None:
    config = study(assistant={"epochs": 2}, learning_rate=1e-2)

    def diverge(trial: Any, inputs: Any, report: Any) -> Any:
        if trial.condition.name == "V5":
            return TrialResult(
                number=trial.number, state=TrialState.DIVERGED, reason="epoch 1: not finite"
            )
        return run_trial(trial, inputs, report)

    folder = StudyFolder(Location.parse(tmp_path / "study"))
    with pytest.raises(TrialError, match=r"that of V5 diverged: epoch 1.*--resume"):
        plan_and_run(config, folder, InProcess(run_trial=diverge), Silent())
    assert read_manifest(folder.assistants.teacher("II")).details["macro_auroc"] > 0
    assert not folder.assistants.teacher("V5").exists()


def test_students_of_a_lead_set_have_an_assistant_of_the_set_on_an_object_store_too(
    s3_server: S3Server, tmp_path: Path
) -> None:
    bucket = s3_server.make_bucket("assisted")
    config = study_from_mapping(
        {**TINY, "search": {**TINY["search"], "leads": ["II+V5"], "n_trials": 1}}, "tiny"
    )
    on_store = StudyFolder(bucket / "study")
    plan_and_run(config, on_store, InProcess(), Silent()).close()
    local = run(tmp_path / "study", config)
    for folder in (on_store, local):
        teacher = open_teacher(folder.assistants.teacher("II+V5"))
        assert teacher.view.leads == ("II", "V5")
    assert (
        read_manifest(on_store.assistants.knowledge("II+V5")).fingerprint
        == read_manifest(local.assistants.knowledge("II+V5")).fingerprint
    )
    # What is there is taken up.
    plan_and_run(config, on_store, InProcess(), Silent(), resume=True).close()


def test_assistants_hear_of_recordings_without_a_label_and_speak_of_them(tmp_path: Path) -> None:
    data = {**TINY["data"], "labelled": {"fraction": 0.5}}
    config = study_from_mapping({**TINY, "data": data}, "tiny")
    folder = run(tmp_path / "study", config)
    teacher = read_manifest(folder.teacher)
    for lead in ("II", "V5"):
        made, said = (
            read_manifest(at)
            for at in (folder.assistants.teacher(lead), folder.assistants.knowledge(lead))
        )
        assert made.counts["n_train"] == said.counts["n_recordings"] > teacher.counts["n_train"]
