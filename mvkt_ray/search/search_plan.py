"""The plan of a search: what its stages do and reuse, checked once and before anything starts.

`mvkt search --dry-run` prints a plan, and `pipeline` carries it out, stage by stage.

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
    """Where the study is, or will be."""
    data: Location | None = None
    """Shards, or the folder of the dataset; not needed to resume, nor by `synthetic`."""
    teacher: Location | None = None
    """A trained teacher to use instead of training one."""
    resume: bool = False
    """Go on with the study that is in the folder."""
    limits: Limits = NO_LIMITS
    """Limits of the total spending, with the teacher, over all starts of the study. When a limit is
    reached, trials stop after their epoch: `Study.stopped_by` says which."""
    similar: StudyFolder | None = None
    """A study to predict time and cost from, while the own one has no complete trial."""
    time_budget_s: float | None = None
    """Start no further trial after so many seconds."""
    ledger: ServerAddress | None = None
    """The database for the ledger of a study that begins; None: where it is noted, else here."""
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
    """Packages that its plug-ins were from."""


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
    """Versions, by name, of the packages that its plug-ins are from; not of its source's."""
    learnt: Learnt | None = None
    """Trials of another study that the sampler learns from; None: it learns from its own alone."""
    shards: Location
    """Where they are, or will be."""
    source: Source | None
    """Source that is ingested to `shards`; None: they exist."""
    prepared: Prepared | None = None
    """The shards as the study sees them; None until they are there."""
    given_teacher: Location | None
    teacher: Manifest | None = None
    """Of the teacher that is used; None: one is trained."""
    stages: tuple[PlannedStage, ...] = ()
    """Stages, in the order in which they run."""

    @property
    def folder(self) -> StudyFolder:
        """Where the study is, or will be."""
        return self.request.folder

    @property
    def teacher_location(self) -> Location:
        """Where the teacher is, or will be."""
        return self.given_teacher or self.folder.teacher

    @property
    def n_baselines(self) -> int:
        """How many trials are baselines."""
        return n_baselines(self.config, self.space)

    def stage(self, name: StageName) -> PlannedStage:
        """Return a stage by its name."""
        return next(stage for stage in self.stages if stage.name == name)


def plan_search(config: StudyConfig, request: SearchRequest) -> SearchPlan:
    """Check a search as far as its inputs exist, and say what each stage will do.

    Raises:
        ArtifactError: The folder holds something else, or a study without `resume`; an input is not
            there, or is damaged.
        ConfigError: The study does not fit the data; a limit can never be reached, or not be known;
            the ledger is somewhere else.
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
        # Of these leads the ingest makes shards.
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
    """Complete a plan whose shards are there: check what is used with them.

    Raises:
        ConfigError: The space does not fit the leads of the shards.
        ArtifactError: A teacher is not there, or its folder is taken.
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
    """Read what an earlier start of a search has noted; None where none came so far.

    Raises:
        ArtifactError: Another of its files was changed, or is another study's.
        ConfigError: Its configuration was changed, and is no study any more.
    """
    # Else it is refused when the stage has ended that is added to it.
    folder.stage_times()
    if not folder.study_file.exists():
        return None
    inputs = folder.read_inputs() if folder.inputs_file.exists() else {}
    return BegunSearch(config=folder.read_config(), inputs=inputs, plugins=folder.read_plugins())


def _read_learnt(config: StudyConfig, folder: StudyFolder, space: SearchSpace) -> Learnt | None:
    """Read what the study learns from: as it was when it began, or else from the other study."""
    name = config.search.learn_from
    if name is None:
        return None
    if folder.learnt_file.exists():
        return Learnt.read(folder.learnt_file)
    return learn_from(StudyFolder(Location.parse(name)), folder, config, space)


def _with_n_trials(config: StudyConfig, space: SearchSpace) -> StudyConfig:
    """Let a study ask for as many trials as it has: of those that a grid has not, none is told."""
    search = replace(config.search, n_trials=n_trials(config, space))
    return replace(config, search=search)


def _leads_and_tasks(shards: Location) -> tuple[tuple[str, ...], dict[str, Task]]:
    details = read_manifest(shards, "shards").details
    tasks = {name: Task.from_json(task) for name, task in details["tasks"].items()}
    return tuple(details["leads"]), tasks


def _n_classes(config: StudyConfig, tasks: Mapping[str, Task]) -> int | None:
    """Return how many classes students have; None for a task that is refused later."""
    if config.data.task in tasks:
        return len(tasks[config.data.task].classes)
    if config.data.task_file:
        return len(read_task(config.data.task).classes)
    offered = plugin_task(config.data.task, tasks)
    return None if offered is None else len(offered.classes)


def _find_source(config: StudyConfig, data: Location | None) -> Source:
    """Open the source of the recordings, and see that it has any.

    Raises:
        ConfigError: Its folder was not given, or an option of it is wrong.
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
    # The first recording shows that the folder is what it should be; counting all may take long.
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
