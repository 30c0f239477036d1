"""Runs one stage of a study, training a teacher or caching its knowledge, in a session.

Reads: shards, and for knowledge a teacher. Writes: the artifact.
"""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_study
from mvkt_ray.display.console import Output
from mvkt_ray.interface.arguments import RunnerChoice, with_folds
from mvkt_ray.interface.sessions.driver_session import DriverSession, driver_session
from mvkt_ray.interface.sessions.own_files import logs_beside, own_files
from mvkt_ray.phrasing import byte_size
from mvkt_ray.search import stages
from mvkt_ray.search.choosing.named_plugins import packages_of_study
from mvkt_ray.search.stages import KnowledgePlan, Prepared
from mvkt_ray.storage.artifacts import claim_output, read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest
from mvkt_ray.storage.output_lock import holding
from mvkt_ray.training.teacher import KIND


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCall:
    """Checked request for one stage of a study."""

    config: StudyConfig
    prepared: Prepared
    """Shards of the study with its splits and view."""
    out: Location
    """Folder of the artifact."""
    runner: RunnerChoice
    resume: bool = False


def stage_call(
    *,
    study: str | Path,
    data: str | Path,
    out: str | Path,
    folds: str | None = None,
    address: str | None = None,
    in_process: bool = False,
    resume: bool = False,
) -> StageCall:
    """Check the arguments of a stage.

    Args:
        study: Path of a study file.
        data: Folder or URI of the shards.
        out: Folder or URI of the artifact.
        folds: Folds of the three splits instead of the study's, as `1-7/8/9`.
        address: Address of a Ray cluster; by default Ray is started on this machine.
        in_process: Whether to run in this process, without Ray.
        resume: Whether to continue an interrupted call.

    Raises:
        ConfigError: An argument, or the study, is wrong.
        DataError: Shards and study do not match.
    """
    runner = RunnerChoice(address, in_process)
    config = with_folds(read_study(study), folds)
    prepared, place = stages.prepare(config, Location.parse(data)), Location.parse(out)
    return StageCall(config=config, prepared=prepared, out=place, runner=runner, resume=resume)


def train_teacher(output: Output, call: StageCall) -> Manifest:
    """Train the teacher of a study, unless it exists already.

    Raises:
        ConfigError: The machine or cluster lacks resources for the study.
        ArtifactError: The output holds something else.
        TrialError: The training diverged.
    """
    config, prepared, out = call.config, call.prepared, call.out
    finished = stages.find_teacher(config, prepared, out, resume=call.resume)
    if finished is not None:
        output.say(f"teacher: reused, {out}")
        return finished
    what = f"{config.teacher.described} on {len(prepared.view.leads)} leads"
    with _session(output, call) as session:
        view, job = session.view, stages.teacher_job(config, prepared)
        view.stage_started("teacher", what)
        session.runner.train_teacher(job, out, view.stage_epoch)
        view.stage_finished("teacher", what, reused=False)
    return read_manifest(out, KIND)


def cache_knowledge(
    output: Output, call: StageCall, teacher: str | Path
) -> tuple[KnowledgePlan, Manifest]:
    """Compute a teacher's knowledge of the training crops, unless it exists already.

    Args:
        output: Output of the verb, for the expected size and the progress.
        call: Request for the stage.
        teacher: Folder of a teacher that was trained on the same shards.

    Raises:
        ConfigError: The machine or cluster lacks resources for the study.
        ArtifactError: There is no teacher, or the output holds something else.
        StaleArtifactError: Teacher and study do not match.
    """
    config, prepared, out = call.config, call.prepared, call.out
    location = Location.parse(teacher)
    fitting = stages.open_fitting_teacher(location, config, prepared)
    per_recording = config.student.knowledge == "record"
    plan = stages.plan_knowledge(prepared, fitting, location, per_recording=per_recording)
    what = f"{plan.n_crops:,} crops"
    output.say(f"{what} of the training split need {byte_size(plan.size_bytes)}")
    finished = claim_output(out, plan.recipe, resume=call.resume)
    if finished is not None:
        output.say(f"knowledge: reused, {out}")
        return plan, finished
    with _session(output, call) as session:
        view = session.view
        view.stage_started("knowledge", what)
        made = stages.cache_knowledge(
            plan, out, session.runner, config.resources, view.stage_progress
        )
        view.stage_finished("knowledge", what, reused=False)
    return plan, made


@contextlib.contextmanager
def _session(output: Output, call: StageCall) -> Generator[DriverSession]:
    config, own = call.config, own_files(output, logs_beside(call.out))
    with (
        holding(call.out),
        driver_session(output, own, config, call.runner, name=config.name) as session,
    ):
        session.runner.check(config.resources)
        session.runner.expect_plugins(packages_of_study(config, call.prepared.shards.tasks))
        yield session
