"""From recordings to a finished study: every stage that is missing, in order.

Reads: a study's configuration, and recordings or shards.
Writes: the study's folder: shards, teacher, knowledge, ledger and trials.
"""

import contextlib
import time
from collections.abc import Callable, Generator
from typing import Protocol

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import write_study
from mvkt_ray.data.ingest.run_ingest import IngestProgress, ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources import open_source
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.errors import ConfigError, DataError, StoreError
from mvkt_ray.records import EpochMetrics, TrialResult
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.choosing.validation_noise import ValidationNoise
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase, driving, reading
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.runner import AskTell, Runner
from mvkt_ray.search.same_study import refuse_other_config
from mvkt_ray.search.spending.breakdown import teacher_usage
from mvkt_ray.search.spending.budget import NO_LIMITS, Budget, Limits
from mvkt_ray.search.spending.prices import PriceList
from mvkt_ray.search.stages import (
    Prepared,
    cache_knowledge,
    open_fitting_teacher,
    plan_knowledge,
    prepare,
    teacher_job,
)
from mvkt_ray.search.study import Study
from mvkt_ray.storage.artifacts import MANIFEST_NAME, claim_output, read_manifest, recipe_of
from mvkt_ray.storage.location import Location
from mvkt_ray.training.student import TrialInputs, run_trial
from mvkt_ray.training.teacher import KIND as TEACHER
from mvkt_ray.training.teacher import Teacher, open_teacher, teacher_config


class StageListener(Protocol):
    """What wants to know how far the stages are."""

    def stage_started(self, stage: str, what: str) -> None:
        """Say that a stage begins: `shards`, `teacher`, `knowledge` or `trials`."""
        ...

    def stage_progress(self, done: int, total: int) -> None:
        """Say how much of the stage is done."""
        ...

    def stage_finished(self, stage: str, what: str, reused: bool) -> None:
        """Say that a stage has ended, or that its result was there already."""
        ...


class Listener(StageListener, Protocol):
    """What wants to know how far a search is: the live table, or a test."""

    def stage_epoch(self, metrics: EpochMetrics) -> None:
        """Pass on what the teacher reported."""
        ...

    def study_opened(self, study: Study) -> None:
        """Hand over the study, once, before its first trial."""
        ...

    def study_changed(self) -> None:
        """Say that a trial reported or ended."""
        ...


def run_search(
    config: StudyConfig,
    folder: StudyFolder,
    runner: Runner,
    listener: Listener,
    *,
    data: Location | None = None,
    teacher: Location | None = None,
    resume: bool = False,
    deadline_s: float | None = None,
    limits: Limits = NO_LIMITS,
    follow: Callable[[Study], AskTell] = lambda study: study,
) -> Study:
    """Run every missing stage, then trials until the study has what it asked for.

    Args:
        config: The study.
        folder: Where it is, or will be.
        runner: Where work runs.
        listener: Told of every step.
        data: Shards, or the folder of the source; not needed to resume, nor by `synthetic`.
        teacher: A trained teacher to use instead of training one.
        resume: Go on with the study that is in the folder.
        deadline_s: Start no further trial after so many seconds.
        limits: What the study may spend in all, with its teacher, over all its starts. When a
            limit is reached, trials stop after their epoch: `Study.stopped_by` says which.
        follow: Takes the study, and returns what runs it in the study's runner and hears all that
            the study is told.

    Raises:
        ConfigError: The study does not fit the data, or the machine; a limit cannot be kept.
        DataError: The data or an artifact cannot be used.
        ClusterError: The plan does not fit the cluster.
    """
    started = time.monotonic()
    with driving(folder) as ledger:
        folder.claim(resume=resume)
        if folder.study_file.exists():
            refuse_other_config(config, folder.read_config())
        # The leads of the shards are not known yet; everything else of the space is checked here.
        SearchSpace.from_config(config, LEADS)
        runner.check(config.resources)
        limits.check(config.resources)
        limits.check_nodes(runner.node_kinds(), config.resources)
        if resume and folder.inputs_file.exists():
            known = folder.read_inputs()
            data = data or known["shards"]
            if teacher is None and known["teacher"] != folder.teacher:
                teacher = known["teacher"]
        location = _provide_shards(config, folder, runner, listener, data, resume)
        prepared = prepare(config, location)
        space = SearchSpace.from_config(config, prepared.shards.leads)
        folder.root.make_directory()
        if not folder.study_file.exists():
            folder.study_file.write_bytes(write_study(config).encode())
        if not folder.inputs_file.exists():
            folder.write_inputs({"shards": location, "teacher": teacher, "knowledge": None})

        teacher_location = _provide_teacher(config, folder, runner, listener, prepared, teacher)
        knowledge = None
        if config.student.knowledge != "online":
            knowledge = folder.knowledge
            provide_knowledge(config, folder, listener, prepared, teacher_location, knowledge)
        folder.write_inputs(
            {"shards": location, "teacher": teacher_location, "knowledge": knowledge}
        )

        left_s = None if deadline_s is None else deadline_s - (time.monotonic() - started)
        study = Study.create_or_open(
            config,
            space,
            ledger.url,
            resume=resume,
            inputs={
                "shards": prepared.shards.fingerprint,
                "teacher": read_manifest(teacher_location).fingerprint,
            },
            deadline_s=left_s,
            noise=ValidationNoise(folder.trials),
            budget=_budget(folder, config, limits),
            shipment=ledger.shipment,
        )
        # Only now is it known that the study in the folder may go on with this configuration.
        folder.study_file.write_bytes(write_study(config).encode())
        listener.study_opened(study)
        with timed_stage(folder, listener, "trials", f"{config.search.n_trials} trials"):
            inputs = trial_inputs(config, folder, prepared)
            runner.run_trials(follow(study), inputs, listener.study_changed)
        return study


def trial_inputs(config: StudyConfig, folder: StudyFolder, prepared: Prepared) -> TrialInputs:
    """Gather what every trial of a study is given."""
    inputs = folder.read_inputs()
    return TrialInputs(
        shards=str(prepared.location),
        task=prepared.task,
        folds=config.data.folds,
        min_likelihood=config.data.min_likelihood,
        view=prepared.view,
        student=config.student,
        knowledge=_text(inputs["knowledge"]),
        teacher=_text(inputs["teacher"]),
        study_seed=config.seed,
        trials=str(folder.trials),
        precision=config.resources.precision,
        resources=config.resources,
    )


def open_study(
    folder: StudyFolder, database: LedgerDatabase | None = None
) -> tuple[StudyConfig, Study]:
    """Open a study to look at it.

    Args:
        folder: Of the study.
        database: Its ledgers, where the command reads more of them; by default they are opened, and
            restored from a store, for this study alone.

    Raises:
        ArtifactError: There is none, or it has not come to its first trial yet.
    """
    folder.expect_study()
    config = folder.read_config()
    with reading(folder) if database is None else contextlib.nullcontext(database) as ledgers:
        return config, Study.open(config, ledgers, budget=_budget(folder, config))


def rerun_trial(
    folder: StudyFolder, number: int, scratch: Location
) -> tuple[TrialResult, TrialResult]:
    """Train a finished trial again, in this process, and return the new and the recorded result.

    Raises:
        ConfigError: There is no such trial, or it has not ended.
    """
    config, study = open_study(folder)
    study.close()
    records = {record.trial.number: record for record in study.trials()}
    record = records.get(number)
    if record is None or record.result is None:
        finished = [n for n, other in records.items() if other.result is not None]
        raise ConfigError(
            f"trial {number} is not a finished trial of {folder.root}. Finished are "
            f"{len(finished)} of {len(records)} trials; `mvkt status` lists them."
        )
    recorded = record.result
    location = folder.read_inputs()["shards"]
    if location is None:
        raise DataError(f"{folder.inputs_file} names no shards. Run `mvkt search --resume` first.")
    inputs = trial_inputs(config, StudyFolder(folder.root), prepare(config, location))
    stop = study.stop_at(recorded)
    again = run_trial(record.trial, inputs.writing_to(str(scratch)), stop)
    return again, recorded


def _budget(folder: StudyFolder, config: StudyConfig, limits: Limits = NO_LIMITS) -> Budget:
    """Return the limits of a study whose teacher is there, and has cost something."""
    prices = PriceList(config.resources.cost)
    before = prices.spent(teacher_usage(folder, config).reservations)
    return Budget(prices, limits, before=before)


def _provide_shards(
    config: StudyConfig,
    folder: StudyFolder,
    runner: Runner,
    listener: Listener,
    data: Location | None,
    resume: bool,
) -> Location:
    given = data or folder.shards
    if (given / MANIFEST_NAME).exists():
        listener.stage_finished("shards", f"{given}", True)
        return given
    if data is None and config.data.source != "synthetic":
        raise ConfigError(
            f"--data is missing: the study reads {config.data.source}. Give the folder of the "
            "dataset, or of shards that `mvkt ingest` made."
        )
    source = open_source(config.data.source, str(data or ""), config.data.source_options)

    def on_progress(progress: IngestProgress) -> None:
        listener.stage_progress(progress.n_recordings_done, progress.n_recordings)

    settings = IngestSettings(sampling_rate_hz=config.data.sampling_rate_hz)
    with timed_stage(folder, listener, "shards", f"{config.data.source} to {folder.shards}"):
        ingest(
            source,
            folder.shards,
            settings,
            resume=resume,
            map_function=runner.map,
            on_progress=on_progress,
        )
    return folder.shards


def _provide_teacher(
    config: StudyConfig,
    folder: StudyFolder,
    runner: Runner,
    listener: Listener,
    prepared: Prepared,
    given: Location | None,
) -> Location:
    if given is not None:
        teacher = open_fitting_teacher(given, config, prepared)
        listener.stage_finished("teacher", _describe(given, teacher), True)
        return given
    job = teacher_job(config, prepared)
    inputs = {"shards": prepared.shards.fingerprint}
    recipe = recipe_of(TEACHER, teacher_config(job), inputs)
    location = folder.teacher
    if claim_output(location, recipe, resume=True) is not None:
        listener.stage_finished("teacher", _describe(location, open_teacher(location)), True)
        return location
    what = f"{config.teacher.network} on {len(prepared.view.leads)} leads"
    with timed_stage(folder, listener, "teacher", what):
        folder.write_teacher_usage(runner.train_teacher(job, location, listener.stage_epoch))
    return location


def provide_knowledge(
    config: StudyConfig,
    folder: StudyFolder,
    listener: StageListener,
    prepared: Prepared,
    teacher_location: Location,
    location: Location,
) -> None:
    """Compute the knowledge of the prepared training split at a location, unless it is there.

    Raises:
        StaleArtifactError: What is there was made from something else.
    """
    teacher = open_teacher(teacher_location, shards=prepared.shards, task=prepared.task)
    per_recording = config.student.knowledge == "record"
    if (location / MANIFEST_NAME).exists():
        open_knowledge(
            location,
            shards=prepared.shards,
            teacher=teacher.fingerprint,
            split=prepared.splits.train,
            view=prepared.view,
            per_recording=per_recording,
        )
        listener.stage_finished("knowledge", f"{location}", True)
        return
    plan = plan_knowledge(prepared, teacher, per_recording=per_recording)
    what = f"{plan.n_crops:,} crops, {plan.size_bytes / 1e6:,.1f} MB"
    with timed_stage(folder, listener, "knowledge", what):
        cache_knowledge(plan, location, listener.stage_progress)


@contextlib.contextmanager
def timed_stage(
    folder: StudyFolder, listener: StageListener, stage: str, what: str
) -> Generator[None]:
    """Tell a listener that a stage begins and ends, and note how long it took."""
    listener.stage_started(stage, what)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        # What went wrong counts; where it is the store, its time cannot be noted.
        with contextlib.suppress(StoreError):
            _note_time(folder, stage, started)
        raise
    _note_time(folder, stage, started)
    listener.stage_finished(stage, what, False)


def _note_time(folder: StudyFolder, stage: str, started: float) -> None:
    if folder.root.exists():
        folder.add_stage_time(stage, time.monotonic() - started)


def _describe(location: Location, teacher: Teacher) -> str:
    return f"{location}, validation macro AUROC {teacher.macro_auroc:.3f}"


def _text(location: Location | None) -> str | None:
    return None if location is None else str(location)
