"""Studies whose trials and finals are made up, so that every number of a report can be told.

The shards are real ones (of synthetic recordings); the predictions are labels and noise.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import safetensors.torch
import sqlalchemy
import sqlalchemy.event
import torch

from mvkt_ray.config.data_config import DataConfig, FoldsConfig
from mvkt_ray.config.recipes import StudentConfig
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.search_config import FinalsConfig, ParameterConfig, PrunerConfig, SearchConfig
from mvkt_ray.data.held_out import open_test_split
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.splits import Split, open_training_splits
from mvkt_ray.data.views import fit_view
from mvkt_ray.records import (
    Arm,
    EpochMetrics,
    EpochRecord,
    Reservation,
    Trial,
    TrialResult,
    TrialState,
    Usage,
)
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.student_sizes import student_facts
from mvkt_ray.search.finals.finals import Finals
from mvkt_ray.search.finals.finals_ledger import FinalsLedger
from mvkt_ray.search.finals.finals_plan import plan_finals
from mvkt_ray.search.finals.finals_results import OPENING, WEIGHTS, hash_of_all
from mvkt_ray.search.finals.openings import Opening
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.ledger.study_identity import plain_config
from mvkt_ray.search.study import Study
from mvkt_ray.slots import Node
from mvkt_ray.statistics.scores import auroc_per_class
from mvkt_ray.storage.artifacts import partial_location, publish
from mvkt_ray.storage.location import Location
from mvkt_ray.training.predictions_file import predictions_to_arrow, read_predictions, with_tags
from mvkt_ray.training.trial_files import TrialFolder
from mvkt_ray.training.validation import Predictions
from tests.begun_study import begun_study

LEADS = ("I", "II", "V2", "V5")
EPOCHS = 6
SKILL = {"I": 0.9, "II": 1.35, "V2": 0.4, "V5": 1.3}
"""How far a lead's students tell a class; II and V5 are close, the others are not."""
HELP = {"student_alone": -0.15, "plain_kd": -0.05, "chosen": 0.0, "search": 0.0, "teacher": 0.5}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is made up; the defaults make the study of most tests."""

    config: StudyConfig
    skill: Mapping[str, float] = field(default_factory=lambda: dict(SKILL))
    help: Mapping[str, float] = field(default_factory=lambda: dict(HELP))
    n_trials_run: int | None = None
    """Trials of the search that were run; None: all."""
    has_finals: bool = True
    diverged: frozenset[tuple[str, str, int]] = frozenset()
    """Finals that diverge: contender, lead, repetition."""
    reason_again: str | None = None
    """Finals are made twice, the second time for this reason."""


def made_up_config(**changes: Any) -> StudyConfig:
    """A study of four leads with two searched hyper-parameters."""
    config = StudyConfig(
        name="made-up",
        seed=7,
        data=DataConfig(
            source="synthetic",
            task="synthetic",
            folds=FoldsConfig(train=(1, 2, 3, 4), val=(5, 6, 7), test=(8, 9, 10)),
        ),
        student=StudentConfig(epochs=EPOCHS),
        space={
            "learning_rate": ParameterConfig(low=0.001, high=0.1, log=True),
            "distill_temperature": ParameterConfig(low=1.0, high=8.0, log=True),
        },
        search=SearchConfig(
            leads=LEADS, n_trials=24, sampler="random", pruner=PrunerConfig(kind="none")
        ),
        finals=FinalsConfig(n_seeds=2),
    )
    return replace(config, **changes)


NODE = Node(group="small", cpus=4)


def held(result: TrialResult) -> Usage:
    """A trial held one CPU of a node with four for as long as it took."""
    reservation = Reservation(node=NODE, cpus=1, gpus=0, worker_s=result.wall_s)
    return Usage(kept=(reservation,))


class Maker:
    """Writes one made-up study into a folder."""

    def __init__(self, folder: StudyFolder, shards: Location, recipe: Recipe) -> None:
        self.folder, self.recipe, self.config = folder, recipe, recipe.config
        self.is_timed = "latency_ms" in recipe.config.search.objectives
        self.shards = open_shards(shards)
        self.task = self.shards.task(self.config.data.task)
        folds = self.config.data.folds
        self.splits = open_training_splits(self.shards, self.task, folds)
        folder.root.make_directory()
        folder.write_config(self.config)
        folder.write_inputs(
            {"shards": shards, "teacher": folder.teacher, "knowledge": folder.knowledge}
        )
        for stage, seconds in (("teacher", 30.0), ("knowledge", 4.0), ("trials", 100.0)):
            folder.add_stage_time(stage, seconds)
        self._publish_teacher()

    def search(self) -> None:
        """Run the search, as far as it came."""
        space = SearchSpace.from_config(self.config, LEADS)
        inputs = {"shards": self.shards.fingerprint}
        database = LedgerDatabase(self.folder.ledger_url)
        study = begun_study(self.config, space, database, inputs=inputs)
        n_trials = self.recipe.n_trials_run
        while (trial := study.ask()) is not None:
            if n_trials is not None and trial.number >= n_trials:
                break
            is_pruned = trial.arm is Arm.SEARCH and trial.number % 8 == 7
            result, history = self._train(trial, self.folder.trials, is_pruned=is_pruned)
            for record in history:
                study.report(trial.number, record.metrics)
            study.tell(result, held(result))
        study.close()

    def finals(self, number: int = 1, reason: str = "") -> None:
        """Train the finals and open the test split."""
        database = LedgerDatabase(self.folder.ledger_url)
        study = Study.open(self.config, database)
        objectives = self.config.search.objectives
        plan = plan_finals(self.config.finals, study.space, study.trials(), objectives)
        facts = {"finals": plain_config(self.config)["finals"]}
        ledger = FinalsLedger.begin(
            database, self.config.name, number, plan=plan, facts=facts, reason=reason
        )
        finals = Finals(self.config, study.space, ledger)
        files = self.folder.final(number)
        while (trial := finals.ask()) is not None:
            key = (trial.contender, trial.condition.name, trial.repetition)
            diverges = key in self.recipe.diverged
            result, history = self._train(trial, files.trials, diverges=diverges)
            for record in history:
                finals.report(trial.number, record.metrics)
            finals.tell(result, held(result))
        self._examine(finals, number, reason)
        finals.close()
        study.close()

    def _examine(self, finals: Finals, number: int, reason: str) -> None:
        files, data = self.folder.final(number), self.config.data
        opening = Opening.now(
            number=number,
            finals=number,
            reason=reason,
            n_recordings=self.splits.n_test,
            shards=self.shards,
            task=self.task,
            folds=data.folds,
            min_likelihood=data.min_likelihood,
        )
        finals.ledger.write_opening(opening)
        test = open_test_split(self.shards, self.task, data.folds, data.min_likelihood, opening)
        seal = {OPENING: opening.seal}
        said = with_tags(self._predict(self.splits.val, "teacher", "", 0), seal)
        files.teacher_validation.write_bytes(said)
        files.teacher_test.write_bytes(with_tags(self._predict(test, "teacher", "", 0), seal))
        hashes: dict[int | None, str] = {None: read_predictions(files.teacher_test).sha256}
        for record in finals.trials():
            if record.state is TrialState.COMPLETE:
                trial, path = record.trial, files.test(record.number)
                said = self._predict(test, trial.contender, record.condition, trial.repetition)
                weights = TrialFolder.of(files.trials, record.number).read_student(record.result)
                own = {WEIGHTS: hashlib.sha256(weights).hexdigest()}
                path.write_bytes(with_tags(said, seal | own))
                hashes[record.number] = read_predictions(path).sha256
        finals.ledger.write_opening(opening.complete(hash_of_all(hashes)))

    def _train(
        self, trial: Trial, trials: Location, *, is_pruned: bool = False, diverges: bool = False
    ) -> tuple[TrialResult, list[EpochRecord]]:
        name = trial.contender or trial.arm.value
        seed = trial.repetition if trial.contender else trial.number
        content = self._predict(self.splits.val, name, trial.condition.name, seed)
        folder = TrialFolder.of(trials, trial.number)
        files: dict[str, str] = {}
        if not (is_pruned or diverges):
            folder.validation.write_bytes(content)
            weights = safetensors.torch.save({"number": torch.tensor([trial.number])})
            folder.student.write_bytes(weights)
            files = {
                folder.validation.name: hashlib.sha256(content).hexdigest(),
                folder.student.name: hashlib.sha256(weights).hexdigest(),
            }
        scores = self._scores(self.splits.val, name, trial.condition.name, seed)
        per_class = auroc_per_class(self.splits.val.labels, scores)
        macro = float(np.nanmean(per_class))
        epochs = 2 if is_pruned else 1 if diverges else EPOCHS
        values = dict(zip(self.task.classes, map(float, per_class), strict=True))
        history = [
            EpochRecord(
                metrics=EpochMetrics(
                    epoch=epoch,
                    macro_auroc=macro - 0.1 * (EPOCHS - epoch) / EPOCHS,
                    losses={"total": 1 / epoch, "label": 0.5 / epoch, "kd": 0.3, "clt": 0.1},
                ),
                per_class_auroc=values,
            )
            for epoch in range(1, epochs + 1)
        ]
        state = TrialState.COMPLETE
        if is_pruned or diverges:
            state = TrialState.PRUNED if is_pruned else TrialState.DIVERGED
        facts = student_facts(
            trial.hyperparameters,
            n_leads=len(trial.condition.leads),
            n_classes=len(self.task.classes),
            n_samples=250,
        )
        result = TrialResult(
            number=trial.number,
            state=state,
            reason="" if state is TrialState.COMPLETE else f"made to be {state.value}",
            macro_auroc=None if diverges else history[-1].metrics.macro_auroc,
            per_class_auroc={} if diverges else values,
            epochs=epochs,
            wall_s=2.0 * epochs,
            cpu_s=1.5 * epochs,
            n_parameters=facts.n_parameters,
            n_multiply_accumulates=facts.n_multiply_accumulates,
            latency_ms=1e-6 * facts.n_multiply_accumulates if self.is_timed else None,
            node="made-up",
        )
        recipe = f"recipe {trial.number}"
        folder.write_result(trial, result, history, recipe=recipe, facts={}, files=files)
        return result, history

    def _predict(self, split: Split, name: str, lead: str, seed: int) -> bytes:
        scores = self._scores(split, name, lead, seed)
        labels = split.labels.astype(np.float32)
        return predictions_to_arrow(split, Predictions(probabilities_NC=scores, labels_NC=labels))

    def _scores(self, split: Split, name: str, lead: str, seed: int) -> np.ndarray:
        """Labels, what is hard about a recording, and what is bad about a training."""
        best = max(self.recipe.skill.values())
        strength = self.recipe.skill.get(lead, best) + self.recipe.help.get(name, 0.0)
        key = [len(split), *f"{lead}".encode(), 1000 + seed]
        hard = np.random.default_rng([len(split), 1]).normal(size=split.labels.shape)
        own = np.random.default_rng(key).normal(size=split.labels.shape)
        tiny = np.random.default_rng([*key, *name.encode()]).normal(size=split.labels.shape)
        logits = strength * (2 * split.labels - 1) + hard + 0.6 * own + 0.2 * tiny
        return (1 / (1 + np.exp(-logits))).astype(np.float32)

    def _publish_teacher(self) -> None:
        view = fit_view(self.shards, self.splits.train.rows, (), self.config.view)
        scores = self._scores(self.splits.val, "teacher", "", 0)
        auroc = auroc_per_class(self.splits.val.labels, scores)
        folder = partial_location(self.folder.teacher)
        (folder / "teacher.safetensors").write_bytes(b"made-up")
        publish(
            self.folder.teacher,
            kind="teacher",
            config={
                "teacher": asdict(self.config.teacher),
                "task": self.task.to_json(),
                "view": view.to_json(),
            },
            inputs={"shards": self.shards.fingerprint},
            counts={"n_parameters": 4321},
            details={
                "network": self.config.teacher.network,
                "classes": list(self.task.classes),
                "macro_auroc": float(np.nanmean(auroc)),
                "per_class_auroc": dict(zip(self.task.classes, map(float, auroc), strict=True)),
                "wall_s": 25.0,
                "cpu_s": 20.0,
            },
        )
        folder = partial_location(self.folder.knowledge)
        (folder / "crops.arrow").write_bytes(b"made-up")
        n_train = len(self.splits.train)
        publish(
            self.folder.knowledge,
            kind="knowledge",
            config={},
            inputs={},
            counts={"n_crops": 10 * n_train, "n_recordings": n_train},
        )


@contextlib.contextmanager
def without_waiting_for_the_disk() -> Iterator[None]:
    """Made-up ledgers need not outlive a power cut; a thousand waits for the disk are long."""

    def hurry(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")

    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", hurry)
    try:
        yield
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "connect", hurry)
