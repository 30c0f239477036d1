"""The plan of a search: the work of each stage, checked once before anything starts.

`mvkt search --dry-run` prints a plan, and `pipeline` executes it, stage by stage.

Reads: the study's folder, its inputs, and the ledger of a similar study. Writes nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.sources import Source, open_source
from mvkt_ray.data.tasks import Task, plugin_task, read_task
from mvkt_ray.errors import ConfigError, DataError
from mvkt_ray.plugins.packages import refuse_other_packages
from mvkt_ray.search.choosing.named_plugins import packages_of_study
from mvkt_ray.search.choosing.space import SearchSpace, n_baselines, n_trials
from mvkt_ray.search.choosing.warm_starts.learnt import Learnt, learn_from
from mvkt_ray.search.ledger.postgres.noted_server import check_note, read_note
from mvkt_ray.search.ledger.postgres.server_address import ServerAddress
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.planned_stages import (
    PlannedStage,
    StageName,
    assistants_stage,
    ingest_stage,
    knowledge_stage,
    shards_stage,
    teacher_stage,
    trials_stage,
)
from mvkt_ray.search.same_study import refuse_other_config
from mvkt_ray.search.spending.budget import NO_LIMITS, Limits
from mvkt_ray.search.spending.prediction import SimilarStudy, read_similar_study
from mvkt_ray.search.stages import Prepared, find_teacher, open_fitting_teacher, prepare
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME, Manifest
from mvkt_ray.training.teacher import KIND as TEACHER


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRequest:
    """Request for a search, beside its configuration."""

    folder: StudyFolder
    """Folder of the study, which need not exist."""
    data: Location | None = None
    """Shards, or the folder of the dataset; not needed to resume, nor by `synthetic`."""
    teacher: Location | None = None
    """A trained teacher to use instead of training one."""
    resume: bool = False
    """Whether to continue the study in the folder."""
    limits: Limits = NO_LIMITS
    """Limits of the total spending, with the teacher, over all starts of the study. When a limit is
    reached, trials stop after their epoch, and `Study.stopped_by` describes it."""
    similar: StudyFolder | None = None
    """A study to predict time and cost from, until this study has a complete trial."""
    time_budget_s: float | None = None
    """Seconds after which no further trial starts; None: no limit."""
    ledger: ServerAddress | None = None
    """Database for the ledger of a new study; None: the noted one, else in the folder."""
    started: float = field(default_factory=time.monotonic)
    """Reading of `time.monotonic` from which the time budget counts."""

    @property
    def time_left_s(self) -> float | None:
        """Seconds of the time budget that are left, below 0 when it is over; None: no budget."""
        if self.time_budget_s is None:
            return None
        return self.time_budget_s - (time.monotonic() - self.started)


@dataclass(frozen=True, kw_only=True, slots=True)
class BegunSearch:
    """Inputs that an earlier start recorded in the folder of a search."""

    config: StudyConfig
    inputs: Mapping[str, Location | None]
    """Shards, teacher and knowledge by kind; empty until the shards are there."""
    plugins: Mapping[str, str] = field(default_factory=dict[str, str])
    """Versions of its plug-ins' packages, by package."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPlan:
    """Plan of a search. Some of it is unknown before the ingest if there are no shards yet."""

    config: StudyConfig
    request: SearchRequest
    begun: BegunSearch | None
    """None: the search begins."""
    similar: SimilarStudy | None
    space: SearchSpace
    plugins: Mapping[str, str]
    """Versions of its plug-ins' packages, by package, without that of its source."""
    learnt: Learnt | None = None
    """Trials of another study for the sampler; None: it uses the study's own only."""
    shards: Location
    """Location of the shards, which need not exist."""
    source: Source | None
    """Source that is ingested to `shards`; None: they exist."""
    prepared: Prepared | None = None
    """The checked shards; None until they exist."""
    given_teacher: Location | None
    teacher: Manifest | None = None
    """Manifest of the existing teacher; None: the search trains it."""
    stages: tuple[PlannedStage, ...] = ()
    """Stages, in the order in which they run."""

    @property
    def folder(self) -> StudyFolder:
        """Folder of the study, which need not exist."""
        return self.request.folder

    @property
    def teacher_location(self) -> Location:
        """Location of the teacher, which need not exist."""
        return self.given_teacher or self.folder.teacher

    @property
    def n_baselines(self) -> int:
        """Number of baseline trials."""
        return n_baselines(self.config, self.space)

    def stage(self, name: StageName) -> PlannedStage:
        """Return a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)


def plan_search(config: StudyConfig, request: SearchRequest) -> SearchPlan:
    """Check a search as far as its inputs exist, and describe the work of each stage.

    Raises:
        ArtifactError: The folder has other files, or a study and `resume` is false; an input is
            missing or damaged.
        ConfigError: The study does not fit the data; a limit can never be reached, or cannot be
            computed; the ledger is elsewhere.
        DataError: There are no such recordings, or they cannot be split.
        StaleArtifactError: The study in the folder, or the teacher, is of another configuration, or
            of other versions of its plug-ins.
    """
    request.limits.check(config.resources)
    folder = request.folder
    folder.claim(resume=request.resume)
    if request.ledger is not None:
        check_note(folder, read_note(folder), request.ledger)
    begun = read_begun(folder)
    if begun is not None:
        refuse_other_config(config, begun.config)
    inputs: Mapping[str, Location | None] = {} if begun is None else begun.inputs
    shards = request.data or inputs.get("shards") or folder.shards
    has_shards = (shards / MANIFEST_NAME).exists()
    teacher = request.teacher or inputs.get("teacher")
    if has_shards:
        source, leads, tasks = None, *_leads_and_tasks(shards)
    else:
        source = _find_source(config, request.data)
        # The ingest writes shards of all twelve leads.
        leads, tasks = LEADS, source.tasks()
    plugins = packages_of_study(config, tasks)
    if begun is not None:
        refuse_other_packages(config.name, begun.plugins, plugins)
    space = SearchSpace.from_config(config, leads, _n_classes(config, tasks))
    plan = SearchPlan(
        config=_with_n_trials(config, space),
        request=request,
        begun=begun,
        space=space,
        plugins=plugins,
        learnt=_read_learnt(config, folder, space),
        shards=shards if has_shards else folder.shards,
        source=source,
        given_teacher=None if teacher == folder.teacher else teacher,
        similar=None if request.similar is None else read_similar_study(request.similar),
    )
    return with_shards(plan, prepare(config, shards)) if has_shards else _without_shards(plan)


def with_shards(plan: SearchPlan, prepared: Prepared) -> SearchPlan:
    """Complete a plan whose shards exist: check space and teacher against them.

    Raises:
        ConfigError: The space does not fit the leads of the shards.
        ArtifactError: The given teacher is missing, or the teacher's folder has other files.
        StaleArtifactError: The given teacher does not fit the study.
    """
    config, space = plan.config, plan.space
    if space.leads != tuple(prepared.shards.leads):
        n_classes = len(prepared.task.classes)
        space = SearchSpace.from_config(config, prepared.shards.leads, n_classes)
        config = _with_n_trials(config, space)
    if plan.given_teacher is not None:
        teacher = open_fitting_teacher(plan.given_teacher, config, prepared).manifest
    else:
        teacher = find_teacher(config, prepared, plan.folder.teacher, resume=True)
    plan = replace(plan, config=config, space=space, prepared=prepared, teacher=teacher)
    return replace(plan, stages=(shards_stage(prepared), *_later_stages(plan)))


def read_begun(folder: StudyFolder) -> BegunSearch | None:
    """Return the inputs that an earlier start has recorded; None: the study has not begun.

    Raises:
        ArtifactError: A file was changed, or belongs to another study.
        ConfigError: The study file was changed.
    """
    # Checked here: otherwise a damaged file would be refused only at the end of a stage.
    folder.stage_times()
    if not folder.study_file.exists():
        return None
    inputs = folder.read_inputs() if folder.inputs_file.exists() else {}
    return BegunSearch(config=folder.read_config(), inputs=inputs, plugins=folder.read_plugins())


def _read_learnt(config: StudyConfig, folder: StudyFolder, space: SearchSpace) -> Learnt | None:
    """Return the trials to learn from: the copy in the folder, else from the other study."""
    name = config.search.learn_from
    if name is None:
        return None
    if folder.learnt_file.exists():
        return Learnt.read(folder.learnt_file)
    return learn_from(StudyFolder(Location.parse(name)), folder, config, space)


def _with_n_trials(config: StudyConfig, space: SearchSpace) -> StudyConfig:
    """Return the configuration with at most as many trials as the grid has."""
    search = replace(config.search, n_trials=n_trials(config, space))
    return replace(config, search=search)


def _leads_and_tasks(shards: Location) -> tuple[tuple[str, ...], dict[str, Task]]:
    details = read_manifest(shards, "shards").details
    tasks = {name: Task.from_json(task) for name, task in details["tasks"].items()}
    return tuple(details["leads"]), tasks


def _n_classes(config: StudyConfig, tasks: Mapping[str, Task]) -> int | None:
    """Return the number of classes of the task; None for a task that is refused later."""
    if config.data.task in tasks:
        return len(tasks[config.data.task].classes)
    if config.data.task_file:
        return len(read_task(config.data.task).classes)
    offered = plugin_task(config.data.task, tasks)
    return None if offered is None else len(offered.classes)


def _find_source(config: StudyConfig, data: Location | None) -> Source:
    """Open the source of the recordings; raise if it has none.

    Raises:
        ConfigError: The dataset's folder was not given, or an option of the source is wrong.
        DataError: There are no recordings.
    """
    if data is None and config.data.source != "synthetic":
        raise ConfigError(
            f"--data is missing: the study reads {config.data.source}. Give the folder of the "
            "dataset, or of shards that `mvkt ingest` made."
        )
    if data is not None and config.data.source == "synthetic":
        raise ConfigError(
            f"--data {data}: there are no shards, and synthetic recordings need no dataset. Give "
            "the folder of shards that `mvkt ingest synthetic` made, or leave --data out."
        )
    source = open_source(config.data.source, str(data or ""), config.data.source_options)
    # Only the first recording: counting all may take long.
    if next(iter(source.references(config.data.sampling_rate_hz)), None) is None:
        raise DataError(f"{data} holds no recordings of {config.data.source}. Check the path.")
    return source


def _without_shards(plan: SearchPlan) -> SearchPlan:
    """Complete a plan as far as that is possible before the ingest."""
    location = plan.teacher_location
    if plan.given_teacher is not None or (location / MANIFEST_NAME).exists():
        plan = replace(plan, teacher=read_manifest(location, TEACHER))
    shards = ingest_stage(plan.config, plan.request.data)
    return replace(plan, stages=(shards, *_later_stages(plan)))


def _later_stages(plan: SearchPlan) -> tuple[PlannedStage, ...]:
    return (
        teacher_stage(plan.config, plan.teacher_location, plan.teacher),
        knowledge_stage(plan.config, plan.folder, plan.prepared),
        *assistants_stage(plan.config, plan.space, plan.folder, plan.prepared),
        trials_stage(plan.config, plan.space, plan.learnt),
    )
