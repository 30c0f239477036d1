"""A search from its plan to a finished study: runs every missing stage, in order.

Reads: recordings or shards. Writes: the study's folder: shards, teacher, knowledge, ledger and
trials.
"""

from collections.abc import Callable, Mapping

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.ingest.run_ingest import IngestProgress, ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.distill.knowledge import open_knowledge
from mvkt_ray.machine_faults import naming_the_ledger
from mvkt_ray.phrasing import byte_size
from mvkt_ray.plugins.packages import installed_versions, refuse_other_packages
from mvkt_ray.search.assistants.provide_assistants import assistants_at, provide_assistants
from mvkt_ray.search.choosing.conditions import read_conditions
from mvkt_ray.search.choosing.named_plugins import packages_of_source
from mvkt_ray.search.choosing.pruning import decision_epochs
from mvkt_ray.search.disk.tidy_study import TidyStudy
from mvkt_ray.search.ledger.postgres.noted_server import bind_note
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.listener import Listener, StageListener
from mvkt_ray.search.opened_search import OpenedSearch
from mvkt_ray.search.runner import AskTell, Runner
from mvkt_ray.search.search_plan import SearchPlan, with_shards
from mvkt_ray.search.spending.breakdown import with_earlier_attempts
from mvkt_ray.search.stage_timer import timed_stage
from mvkt_ray.search.stages import (
    Prepared,
    cache_knowledge,
    measure_students,
    plan_knowledge,
    prepare,
    teacher_job,
    verify_input,
)
from mvkt_ray.search.study import Study
from mvkt_ray.search.study_opening import budget_of
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME, Manifest
from mvkt_ray.training.students.trial_inputs import Assistant, TrialInputs
from mvkt_ray.training.teacher import KIND as TEACHER
from mvkt_ray.training.teacher import open_teacher


def run_search(
    search: OpenedSearch,
    runner: Runner,
    listener: Listener,
    *,
    follow: Callable[[Study], AskTell] = lambda study: study,
) -> Study:
    """Carry out a plan: every stage that is missing, then trials until the study has its number.

    Args:
        search: The plan, opened.
        runner: Executes the work.
        listener: Receives the progress.
        follow: Returns a wrapper of the study, such as trackers, to run in its place.

    Returns:
        The study. Its trials can be read after the search is closed.

    Raises:
        ConfigError: The study does not fit the data, or the machine; a limit cannot be kept.
        DataError: The data or an artifact cannot be used.
        ClusterError: The plan does not fit the cluster.
        MachineError: The machine failed under a trial or the ledger; resume by `--resume`.
    """
    check_runner(search.plan, runner)
    plan, prepared = _provide_shards(search.plan, runner, listener)
    config, folder = plan.config, plan.folder
    folder.root.make_directory()
    if not folder.study_file.exists():
        bind_note(folder, config)
        folder.begin(config, plan.plugins)
    inputs = {"shards": plan.shards, "teacher": plan.given_teacher, "knowledge": None}
    if not folder.inputs_file.exists():
        folder.write_inputs(inputs)
    teacher = _provide_teacher(plan, prepared, runner, listener)
    inputs["teacher"] = plan.teacher_location
    if plan.stage("knowledge").action != "skip":
        inputs["knowledge"] = folder.knowledge
        provide_knowledge(
            config, folder, runner, listener, prepared, plan.teacher_location, folder.knowledge
        )
    folder.write_inputs(inputs)
    if plan.learnt is not None and not folder.learnt_file.exists():
        plan.learnt.write(folder.learnt_file)
    made_from = {"shards": prepared.shards.fingerprint, "teacher": teacher.fingerprint}
    made_from |= _provide_assistants(plan, prepared, runner, listener)
    with naming_the_ledger(search.database.name):
        study = search.begin_or_resume(
            config,
            plan.space,
            inputs=made_from,
            precisions=lambda: measure_students(config, prepared, runner),
            budget=budget_of(folder, config, plan.request.limits),
        )
        # Only now: `begin_or_resume` has checked the configuration against the ledger.
        folder.write_config(config)
        listener.study_opened(study)
        with timed_stage(folder, listener, "trials", plan.stage("trials").what):
            trials = trial_inputs(config, folder, prepared, study.cpu_precision)
            tidy = TidyStudy(follow(study), study, folder.trials)
            runner.run_trials(tidy, trials, listener.study_changed)
    return study


def check_runner(plan: SearchPlan, runner: Runner) -> None:
    """Refuse a plan that a runner cannot execute, or whose limits cannot be enforced there.

    Raises:
        ConfigError: This kind of runner does not support the resources; a node has no price.
        ClusterError: The cluster cannot hold one trial, or the teacher; a node lacks a plug-in.
    """
    resources = plan.config.resources
    runner.check(resources)
    runner.expect_plugins(plan.plugins)
    plan.request.limits.check_nodes(runner.node_kinds(), resources)


def trial_inputs(
    config: StudyConfig,
    folder: StudyFolder,
    prepared: Prepared,
    cpu_precision: Mapping[str, str],
) -> TrialInputs:
    """Return the inputs of every trial of a study, with the precision noted in its ledger.

    Raises:
        StaleArtifactError: The study was started with other versions of its plug-ins.
    """
    inputs, plugins = folder.read_inputs(), folder.read_plugins()
    refuse_other_packages(config.name, plugins, installed_versions(plugins))
    return TrialInputs(
        shards=str(prepared.location),
        task=prepared.task,
        folds=config.data.folds,
        min_likelihood=config.data.min_likelihood,
        finer_task=prepared.finer_task,
        label_use=config.data.label_use,
        view=prepared.view,
        student=config.student,
        knowledge=_text(inputs["knowledge"]),
        teacher=_text(inputs["teacher"]),
        assistants=_assistants(config, folder, prepared),
        study_seed=config.seed,
        trials=str(folder.trials),
        precision=config.resources.precision,
        cpu_precision=cpu_precision,
        resources=config.resources,
        plugins=plugins,
        seeds_per_trial=config.search.seeds_per_trial,
        measures_latency="latency_ms" in config.search.objectives,
        validated_epochs=None
        if config.student.validate == "every_epoch"
        else decision_epochs(config.search.pruner, config.student.epochs),
    )


def _provide_shards(
    plan: SearchPlan, runner: Runner, listener: Listener
) -> tuple[SearchPlan, Prepared]:
    """Ingest unless the shards exist; return the plan completed with the shards."""
    if plan.prepared is not None:
        listener.stage_finished("shards", plan.stage("shards").what, True)
        return plan, plan.prepared
    assert plan.source is not None

    def on_progress(progress: IngestProgress) -> None:
        listener.stage_progress(progress.n_recordings_done, progress.n_recordings)

    settings = IngestSettings(sampling_rate_hz=plan.config.data.sampling_rate_hz)
    runner.expect_plugins(packages_of_source(plan.source.name))
    with timed_stage(plan.folder, listener, "shards", plan.stage("shards").what):
        ingest(
            plan.source,
            plan.shards,
            settings,
            resume=plan.request.resume,
            map_function=runner.map,
            on_progress=on_progress,
        )
    prepared = prepare(plan.config, plan.shards)
    return with_shards(plan, prepared), prepared


def _provide_teacher(
    plan: SearchPlan, prepared: Prepared, runner: Runner, listener: Listener
) -> Manifest:
    """Train the teacher unless it exists; return its manifest."""
    what = plan.stage("teacher").what
    if plan.teacher is not None:
        listener.stage_finished("teacher", what, True)
        return plan.teacher
    folder, job = plan.folder, teacher_job(plan.config, prepared)
    with timed_stage(folder, listener, "teacher", what):
        used = runner.train_teacher(job, folder.teacher, listener.stage_epoch)
        teacher = read_manifest(folder.teacher, TEACHER)
        n_workers = plan.config.resources.teacher.min_workers
        wall_s = float(teacher.details["wall_s"])
        folder.write_teacher_usage(with_earlier_attempts(used, wall_s=wall_s, n_workers=n_workers))
    return teacher


def _provide_assistants(
    plan: SearchPlan, prepared: Prepared, runner: Runner, listener: Listener
) -> dict[str, str]:
    """Train missing assistants and compute their knowledge; return their fingerprints by name."""
    config, folder = plan.config, plan.folder
    if config.teacher.assistant is None:
        return {}
    made = provide_assistants(
        config,
        plan.space,
        folder,
        runner,
        listener,
        prepared,
        trial_inputs(config, folder, prepared, {}),
        plan.stage("assistants").what,
    )
    return {f"assistant of {condition}": found for condition, found in made.items()}


def provide_knowledge(
    config: StudyConfig,
    folder: StudyFolder,
    runner: Runner,
    listener: StageListener,
    prepared: Prepared,
    teacher_location: Location,
    location: Location,
) -> None:
    """Compute the teacher's knowledge of the training split at a location, unless it exists.

    Raises:
        StaleArtifactError: The existing knowledge was made from other inputs.
    """
    teacher = open_teacher(teacher_location, shards=prepared.shards, task=prepared.task)
    per_recording = config.student.knowledge == "record"
    if (location / MANIFEST_NAME).exists():
        verify_input(location)
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
    plan = plan_knowledge(prepared, teacher, teacher_location, per_recording=per_recording)
    what = f"{plan.n_crops:,} crops, {byte_size(plan.size_bytes)}"
    with timed_stage(folder, listener, "knowledge", what):
        cache_knowledge(plan, location, runner, config.resources, listener.stage_progress)


def _assistants(
    config: StudyConfig, folder: StudyFolder, prepared: Prepared
) -> dict[str, Assistant]:
    if config.teacher.assistant is None:
        return {}
    conditions = read_conditions(config.search.leads, prepared.shards.leads)
    return assistants_at(folder.assistants, folder.assistants, conditions)


def _text(location: Location | None) -> str | None:
    return None if location is None else str(location)
