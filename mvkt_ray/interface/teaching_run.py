"""One stage of a study by itself, a teacher or its knowledge: checked, then made in a session.

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
    """Request to run one stage of a study, and where to run it."""

    config: StudyConfig
    prepared: Prepared
    """The study's shards, as it sees them."""
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
    """Read and check the arguments of a stage.

    Args:
        study: A study file.
        data: Its shards.
        out: Folder of the artifact, or its URI.
        folds: Of the three splits instead of those of the study, as `1-7/8/9`.
        address: Of a Ray cluster; by default a Ray of its own is started.
        in_process: Do the work in this process, without Ray.
        resume: Go on with what an interrupted call left.

    Raises:
        ConfigError: An argument, or the study, is wrong.
        DataError: The shards do not go with the study.
    """
    runner = RunnerChoice(address, in_process)
    config = with_folds(read_study(study), folds)
    prepared, place = stages.prepare(config, Location.parse(data)), Location.parse(out)
    return StageCall(config=config, prepared=prepared, out=place, runner=runner, resume=resume)


def train_teacher(output: Output, call: StageCall) -> Manifest:
    """Train the teacher of a study, unless it is there.

    Raises:
        ConfigError: The study does not go with the machine or the cluster.
        ArtifactError: Something else is there.
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
    """Compute what a teacher says of the training crops, unless it is there.

    Args:
        output: Of the verb; its size is said before anything is written.
        call: What is asked for.
        teacher: Folder of a teacher that was trained on the same shards.

    Raises:
        ConfigError: The study does not go with the machine or the cluster.
        ArtifactError: There is no teacher, or something else is at the output.
        StaleArtifactError: The teacher does not go with the study.
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
