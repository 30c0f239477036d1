"""One stage of a study by itself, a teacher or its knowledge: checked, then made in a session.

Reads: shards, and for knowledge a teacher. Writes: the artifact.
"""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.config.study_file import read_study
from mvkt_ray.display.console import Output, byte_size
from mvkt_ray.interface.arguments import check_address, with_folds
from mvkt_ray.interface.sessions.driver_session import DriverSession, driver_session
from mvkt_ray.interface.sessions.own_files import own_files_beside
from mvkt_ray.search import stages
from mvkt_ray.search.choosing.named_plugins import packages_of_study
from mvkt_ray.search.stages import KnowledgePlan, Prepared
from mvkt_ray.storage.artifacts import Manifest, claim_output, holding, read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.training.teacher import KIND


@dataclass(frozen=True, kw_only=True, slots=True)
class StageCall:
    """Which stage of a study is asked for, and where it runs."""

    study: str | Path
    data: str | Path
    """Its shards."""
    out: str | Path
    """Folder of the artifact, or its URI."""
    folds: str | None = None
    """Of the three splits instead of those of the study."""
    resume: bool = False
    address: str | None = None
    """Of a Ray cluster; None starts one on this machine."""
    in_process: bool = False
    """Do not use Ray at all."""


def train_teacher(output: Output, call: StageCall) -> Manifest:
    """Train the teacher of a study, unless it is there.

    Raises:
        ConfigError: An argument, or the study, is wrong.
        DataError: The shards do not go with the study.
        ArtifactError: Something else is there.
        TrialError: The training diverged.
    """
    config, prepared, out = _opened(call)
    finished = stages.find_teacher(config, prepared, out, resume=call.resume)
    if finished is not None:
        output.say(f"teacher: reused, {out}")
        return finished
    what = f"{config.teacher.described} on {len(prepared.view.leads)} leads"
    with _session(output, call, config, prepared, out) as session:
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
        ConfigError: An argument, or the study, is wrong.
        DataError: The shards do not go with the study.
        ArtifactError: There is no teacher, or something else is at the output.
        StaleArtifactError: The teacher does not go with the study.
    """
    (config, prepared, out), location = _opened(call), Location.parse(teacher)
    fitting = stages.open_fitting_teacher(location, config, prepared)
    per_recording = config.student.knowledge == "record"
    plan = stages.plan_knowledge(prepared, fitting, location, per_recording=per_recording)
    what = f"{plan.n_crops:,} crops"
    output.say(f"{what} of the training split need {byte_size(plan.size_bytes)}")
    finished = claim_output(out, plan.recipe, resume=call.resume)
    if finished is not None:
        output.say(f"knowledge: reused, {out}")
        return plan, finished
    with _session(output, call, config, prepared, out) as session:
        view = session.view
        view.stage_started("knowledge", what)
        made = stages.cache_knowledge(
            plan, out, session.runner, config.resources, view.stage_progress
        )
        view.stage_finished("knowledge", what, reused=False)
    return plan, made


def _opened(call: StageCall) -> tuple[StudyConfig, Prepared, Location]:
    check_address(call.address, in_process=call.in_process)
    config = with_folds(read_study(call.study), call.folds)
    return config, stages.prepare(config, Location.parse(call.data)), Location.parse(call.out)


@contextlib.contextmanager
def _session(
    output: Output, call: StageCall, config: StudyConfig, prepared: Prepared, out: Location
) -> Generator[DriverSession]:
    with (
        holding(out),
        driver_session(
            output,
            own_files_beside(output, out),
            config,
            name=config.name,
            address=call.address,
            in_process=call.in_process,
        ) as session,
    ):
        session.runner.check(config.resources)
        session.runner.expect_plugins(packages_of_study(config, prepared.shards.tasks))
        yield session
