"""From a finished search to one opening of the test split, with everything for real, if tiny."""

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import safetensors.torch
import torch

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_study, study_from_mapping
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.errors import (
    ArtifactError,
    ConfigError,
    StaleArtifactError,
    TrialError,
    WorkerLostError,
)
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import EpochMetrics, TrialState
from mvkt_ray.search.finals import examine as examine_module
from mvkt_ray.search.finals import run_finals as finalize_module
from mvkt_ray.search.finals.finals import Finals
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_outlook import FinalsRequest, finals_config, finals_outlook
from mvkt_ray.search.finals.finals_results import FinalsResults, read_finals
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.finals.run_finals import run_finals
from mvkt_ray.search.in_process import InProcess
from mvkt_ray.search.ledger.ledger_database import driving, reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.stages import prepare
from mvkt_ray.search.study import Study
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import read_predictions
from mvkt_ray.training.student import run_trial
from tests.planned_search import plan_and_run

STUDY: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": "synthetic",
        "source_options": {"n_recordings": 60, "seed": 3, "duration_s": 4.0},
        "sampling_rate_hz": 50,
        "task": "synthetic",
        "folds": {"train": [1, 2, 3, 4, 5], "val": [6, 7], "test": [8, 9, 10]},
    },
    "view": {"crop_s": 2.0, "grid_s": 1.0, "stride_s": 1.0},
    "teacher": {"network": "sepconv1d_tiny", "epochs": 1, "batch_size": 16},
    "student": {"epochs": 2},
    "space": {
        "student": "sepconv1d_tiny",
        "batch_size": 8,
        "n_negatives": 8,
        "kd_weight": {"low": 0.1, "high": 10.0, "log": True},
    },
    "search": {"leads": ["I", "V2"], "n_trials": 3, "baselines": [], "pruner": {"kind": "none"}},
    "finals": {"n_seeds": 2, "baselines": ["student_alone"]},
    # A busy machine may measure bf16 as the faster, and predictions by hand are in float32.
    "resources": {"precision": "float32"},
}
N_TRAININGS = 8
"""Two leads, two contenders, two seeds."""


class Diary:
    """Hears of everything, and keeps what matters here."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.progress: list[tuple[int, int]] = []

    def stage_started(self, stage: str, what: str) -> None:
        assert what

    def stage_progress(self, done: int, total: int) -> None:
        self.progress.append((done, total))

    def stage_epoch(self, metrics: EpochMetrics) -> None:
        assert metrics.epoch

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        self.made.append(stage)

    def study_opened(self, study: Study | Finals) -> None:
        assert study.conditions

    def study_changed(self) -> None:
        """Nobody looks."""


def study(**finals: Any) -> StudyConfig:
    """The tiny study with other finals."""
    return study_from_mapping({**STUDY, "finals": {**STUDY["finals"], **finals}}, "tiny")


def finalize(folder: StudyFolder, runner: Any = None, **options: Any) -> FinalsResults:
    config = finals_config(folder, options.pop("config", None))
    request = FinalsRequest(**options)
    with (
        driving(folder) as database,
        finals_outlook(folder, config, request, database) as outlook,
    ):
        return run_finals(outlook, runner or InProcess(), Diary())


@contextlib.contextmanager
def finals_ledgers(folder: StudyFolder) -> Iterator[list[FinalsLedger]]:
    with reading(folder) as database, FinalsLedger.open_all(database, "tiny") as ledgers:
        yield ledgers


def opening_of(folder: StudyFolder, number: int = 1) -> Opening | None:
    with finals_ledgers(folder) as ledgers:
        return ledgers[number - 1].opening if len(ledgers) >= number else None


def results_of(folder: StudyFolder) -> FinalsResults | None:
    with finals_ledgers(folder) as ledgers:
        return read_finals(folder, ledgers)


def shards_of(folder: StudyFolder) -> Shards:
    return open_shards(folder.shards)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose search has ended; copied before anything is done to it."""
    root = tmp_path_factory.mktemp("searched") / "study"
    plan_and_run(study(), StudyFolder(Location.parse(root)), InProcess(), Diary()).close()
    return root


@pytest.fixture(scope="module")
def finished(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same study after its finals; copied likewise."""
    root = tmp_path_factory.mktemp("finished") / "study"
    shutil.copytree(searched, root)
    finalize(StudyFolder(Location.parse(root)))
    return root


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], StudyFolder]:
    def copy(root: Path) -> StudyFolder:
        return StudyFolder(Location.parse(shutil.copytree(root, tmp_path / "study")))

    return copy


def test_what_was_chosen_is_trained_beside_its_baselines_and_examined_once(
    finished: Path,
) -> None:
    folder = StudyFolder(Location.parse(finished))
    results = results_of(folder)
    assert results is not None
    keys = [(name, lead) for lead in ("I", "V2") for name in ("chosen", "student_alone")]
    assert set(results.test.scores) == set(results.validation.scores) == set(keys)
    assert all(results.test.seeds[key] == (0, 1) for key in keys)
    assert [record.state for record in results.records] == [TrialState.COMPLETE] * N_TRAININGS
    (opening,) = results.openings
    assert opening.completed_at is not None
    assert (opening.number, opening.finals, opening.reason) == (1, 1, "")
    assert (results.number, results.answer, results.refit) == (1, "chosen", False)

    shards = shards_of(folder)
    config = read_study(folder.study_file.local_path)
    is_test = np.isin(shards.folds(), config.data.folds.test)
    labels = shards.labels(shards.task("synthetic"))
    rows = np.flatnonzero(is_test & (labels.sum(1) > 0))
    assert opening.n_recordings == len(rows) > 0
    assert results.test.record_ids_N.tolist() == shards.record_ids()[rows].tolist()
    assert results.test.patient_ids_N.tolist() == shards.patient_ids()[rows].tolist()
    assert results.test.labels_NC.tolist() == labels[rows].tolist()
    n_classes = len(results.classes)
    for examined, n in ((results.test, len(rows)), (results.validation, None)):
        n = n or len(examined.record_ids_N)
        assert examined.teacher_NC.shape == (n, n_classes)
        assert {scores.shape for scores in examined.scores.values()} == {(2, n, n_classes)}
    assert not set(results.test.patient_ids_N) & set(results.validation.patient_ids_N)


def test_predictions_are_those_of_the_written_weights_on_the_test_recordings(
    finished: Path,
) -> None:
    """By hand: windows cut from the recording in mV, scaled, the highest probability of them."""
    folder = StudyFolder(Location.parse(finished))
    results = results_of(folder)
    assert results is not None
    config, shards = read_study(folder.study_file.local_path), shards_of(folder)
    view = prepare(config, folder.shards).view
    for record in results.records[:2] + results.records[-1:]:
        trial = record.trial
        own = Hyperparameters(**trial.hyperparameters)  # type: ignore[arg-type]
        student = build_network(own.student, 1, len(results.classes)).eval()
        files = folder.final(1).trials / f"{trial.number:05d}"
        weights = safetensors.torch.load((files / "student.safetensors").read_bytes())
        student.load_state_dict(weights)
        scores_RNC = results.test.scores[trial.contender, trial.condition.name]
        for runner in (0, len(results.test.record_ids_N) - 1):
            row = shards.row_of(str(results.test.record_ids_N[runner]))
            recording = shards.recording(row)
            (lead,) = trial.condition.leads
            signal = (recording.signal_mv[recording.leads.index(lead)] - view.mean_mv) / view.std_mv
            windows = np.stack([signal[start : start + 100] for start in (0, 50, 100)])
            with torch.no_grad():
                logits, _ = student(torch.from_numpy(windows.astype(np.float32))[:, None])
            expected = torch.sigmoid(logits).amax(0).numpy()
            assert scores_RNC[trial.repetition, runner] == pytest.approx(expected, abs=1e-5)


def test_the_opening_stands_in_the_ledger_before_the_split_is_read(
    searched: Path, copied: Callable[[Path], StudyFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(searched)
    seen: list[Opening | None] = []
    original = examine_module.open_test_split

    def spy(*args: Any) -> Any:
        seen.append(opening_of(folder))
        return original(*args)

    monkeypatch.setattr(examine_module, "open_test_split", spy)
    results = finalize(folder, config=study(n_seeds=1, baselines=[]))
    assert len(seen) == 2 + 1
    (over,) = results.openings
    begun = replace(over, completed_at=None, completed_by=None, predictions=None)
    assert seen == [begun] * 3
    assert over.n_recordings == len(results.test.record_ids_N)


def test_a_second_opening_is_refused_or_its_reason_is_kept(
    finished: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(finished)
    with pytest.raises(ArtifactError, match=r"opened once, the last time at .*--again"):
        finalize(folder)
    with pytest.raises(ConfigError, match="gives no reason"):
        finalize(folder, again=" ")
    first = results_of(folder)
    results = finalize(folder, again="a reviewer asked", config=study(n_seeds=1, baselines=[]))
    assert first is not None
    assert (first.number, results.number) == (1, 2)
    assert [opening.reason for opening in results.openings] == ["", "a reviewer asked"]
    assert [opening.number for opening in results.openings] == [1, 2]
    assert results.openings[0] == first.openings[0]
    # The same configuration and seed: the same student, in a folder of its own.
    for lead in ("I", "V2"):
        again, before = results.test.scores["chosen", lead], first.test.scores["chosen", lead]
        assert np.array_equal(again[0], before[0])
    with pytest.raises(ArtifactError, match="opened 2 times"):
        finalize(folder)
    request = FinalsRequest(again="once more")
    with (
        reading(folder) as database,
        finals_outlook(folder, finals_config(folder, None), request, database) as outlook,
    ):
        # A budget counts what all finals have used, not those alone that are gone on with.
        assert len(outlook.earlier) == N_TRAININGS + 2


def test_an_examination_that_was_killed_goes_on_under_the_same_opening(
    finished: Path,
    searched: Path,
    copied: Callable[[Path], StudyFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = copied(searched)
    original, done = examine_module.examine, list[Any]()

    def die_at_the_fourth(examination: Any, trial: Any) -> Any:
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(trial)
        return original(examination, trial)

    with monkeypatch.context() as patch:
        patch.setattr(examine_module, "examine", die_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            finalize(folder)
    begun = opening_of(folder)
    assert begun is not None
    assert begun.completed_at is None
    assert results_of(folder) is None
    kept = folder.final(1).test(0).local_path
    written = kept.stat().st_ino
    with pytest.raises(StaleArtifactError, match=r"examination is not finished.*n_seeds"):
        finalize(folder, config=study(n_seeds=1), start_over=True)

    results = finalize(folder)
    whole = results_of(StudyFolder(Location.parse(finished)))
    assert whole is not None
    assert kept.stat().st_ino == written
    (opening,) = results.openings
    assert opening.seal == begun.seal
    assert opening.predictions == whole.openings[0].predictions


def test_unopened_finals_go_on_only_as_they_were_begun_or_are_left_behind(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)

    def never(*_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finalize(folder, InProcess(run_trial=never))
    for changes, said in (
        ({"n_seeds": 3}, r"finals\.n_seeds \(was 2, is 3\)"),
        ({"refit": True}, r"finals\.refit \(was False, is True\)"),
        ({"n_configurations": 2}, r"finals\.n_configurations \(was 1, is 2\)"),
    ):
        with pytest.raises(StaleArtifactError, match=f"{said}.*--start-over"):
            finalize(folder, config=study(**changes))
    with pytest.raises(ConfigError, match="has not been opened yet"):
        finalize(folder, again="because")
    results = finalize(folder, config=study(n_seeds=1, baselines=[]), start_over=True)
    assert results.number == 2
    assert [opening.number for opening in results.openings] == [1]
    with finals_ledgers(folder) as (first, second):
        assert first.left_behind
        assert first.opening is None
        assert second.left_behind is None


def test_finals_of_a_search_that_has_gone_on_say_which_choice_differs(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)

    def never(*_: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finalize(folder, InProcess(run_trial=never))
    with finals_ledgers(folder) as (ledger,):
        plan = [contender.to_json() for contender in ledger.plan]
        # As if another trial had been chosen when the finals were begun.
        plan[0]["chosen_trial"] = 77
        ledger.note({"plan": plan})
    with pytest.raises(StaleArtifactError, match=r"chosen of I: chosen_trial \(was 77, is \d\)"):
        finalize(folder)


def test_a_failed_training_keeps_the_split_closed_until_it_succeeds(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)
    n_lost = [0]

    def break_one(trial: Any, inputs: Any, report: Any) -> Any:
        if trial.number == 2:
            n_lost[0] += 1
            raise WorkerLostError("the worker is gone")
        return run_trial(trial, inputs, report)

    config = study(n_seeds=1)
    with pytest.raises(TrialError) as refused:
        finalize(folder, InProcess(run_trial=break_one), config=config)
    text = str(refused.value)
    assert "1 of 4 trainings" in text
    assert "training 2 (chosen of V2, seed 0) failed: WorkerLostError" in text
    assert "--without-failed" in text
    assert n_lost == [1 + config.search.max_retries]
    assert opening_of(folder) is None
    assert not folder.final(1).test(0).exists()
    results = finalize(folder, config=config)
    assert [record.state for record in results.records] == [TrialState.COMPLETE] * 4


def test_without_failed_examines_the_others_but_never_loses_a_lead(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)

    def breaking(*numbers: int) -> InProcess:
        def run(trial: Any, inputs: Any, report: Any) -> Any:
            if trial.number in numbers:
                raise ValueError("a defect")
            return run_trial(trial, inputs, report)

        return InProcess(run_trial=run)

    config = study(n_seeds=1)
    with pytest.raises(TrialError, match=r"No training of chosen for V2 is left"):
        finalize(folder, breaking(2, 3), config=config, without_failed=True)
    assert opening_of(folder) is None
    results = finalize(folder, breaking(3), config=config, without_failed=True)
    assert set(results.test.scores) == {("chosen", "I"), ("student_alone", "I"), ("chosen", "V2")}
    assert results.records[3].state is TrialState.FAILED
    assert opening_of(folder) is not None


def test_refit_trains_on_both_splits_with_knowledge_of_both(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)
    results = finalize(folder, config=study(n_seeds=1, refit=True))
    assert results.refit
    shards, config = shards_of(folder), read_study(folder.study_file.local_path)
    splits = open_training_splits(shards, shards.task("synthetic"), config.data.folds)
    n_train, n_val = len(splits.train), len(splits.val)
    knowledge = folder.final(1).knowledge
    with pa.ipc.open_file((knowledge / "recordings.arrow").local_path) as reader:
        known = reader.read_all()["record_id"].to_pylist()
    rows = sorted([*splits.train.rows, *splits.val.rows])
    assert known == shards.record_ids()[rows].tolist()
    assert len(known) == n_train + n_val
    assert read_manifest(knowledge).inputs["shards"] == shards.fingerprint
    trained = json.loads((folder.final(1).trials / "00000" / "result.json").read_bytes())
    assert trained["made_from"]["refit"] is True
    # Whole batches of 8, of both splits together.
    assert trained["history"][-1]["metrics"]["n_examples"] == (n_train + n_val) // 8 * 8
    assert (n_train + n_val) // 8 > n_train // 8


def test_the_best_few_configurations_are_compared_when_asked(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)
    results = finalize(folder, config=study(n_seeds=1, n_configurations=2, baselines=[]))
    # Three trials over two leads: the second lead has one only.
    assert set(results.test.scores) == {("chosen", "I"), ("chosen_2", "I"), ("chosen", "V2")}


def test_a_search_that_has_not_ended_is_finalized_only_now_and_knowingly(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)
    own = folder.read_config()
    folder.write_config(replace(own, search=replace(own.search, n_trials=9)))
    with pytest.raises(ArtifactError, match=r"6 of 9 have not begun.*--now"):
        finalize(folder)
    config = replace(read_study(folder.study_file.local_path), finals=study(n_seeds=1).finals)
    assert finalize(folder, config=config, now=True).number == 1


def test_another_study_is_not_finalized_under_this_ones_name(
    searched: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(searched)
    other = replace(study(), seed=9)
    with pytest.raises(StaleArtifactError, match=r"seed \(was 0, is 9\).*change `finals:`"):
        finalize(folder, config=other)
    with pytest.raises(ArtifactError, match="holds no study"):
        finalize(StudyFolder(folder.root / "nowhere"))


def test_results_that_were_changed_afterwards_are_not_believed(
    finished: Path, copied: Callable[[Path], StudyFolder]
) -> None:
    folder = copied(finished)
    files = folder.final(1)
    own = files.test(0).read_bytes()
    files.test(0).write_bytes(files.test(1).read_bytes())
    with pytest.raises(StaleArtifactError, match=r"00000/test\.arrow is of another model"):
        results_of(folder)
    files.test(0).write_bytes(own)
    assert results_of(folder) is not None
    files.test(0).write_bytes(own[:100])
    with pytest.raises(ArtifactError, match="a file of predictions, cannot be read"):
        results_of(folder)
    validation = files.trials / "00000" / "validation.arrow"
    files.test(0).write_bytes(own)
    validation.write_bytes(own)
    with pytest.raises(ArtifactError, match=r"00000/validation\.arrow is not the file that"):
        results_of(folder)


def test_predictions_say_which_opening_and_which_weights_they_are_of(finished: Path) -> None:
    folder = StudyFolder(Location.parse(finished))
    opening = opening_of(folder)
    assert opening is not None
    files = folder.final(1)
    weights = (files.trials / "00003" / "student.safetensors").sha256()
    found = read_predictions(files.test(3))
    assert dict(found.tags) == {"opening": opening.seal, "weights": weights}


def test_nothing_is_trained_or_opened_where_the_plan_does_not_fit_the_runner(
    searched: Path, copied: Callable[[Path], StudyFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(searched)
    config = study()
    trial = replace(config.resources.trial, workers=2)
    config = replace(config, resources=replace(config.resources, trial=trial))
    monkeypatch.setattr(finalize_module, "examine_all", None)
    with pytest.raises(ConfigError, match="workers is 2"):
        finalize(folder, config=config)
    assert not folder.finals.exists()
