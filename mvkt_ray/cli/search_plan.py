"""`mvkt search --dry-run`: checks everything that can be checked, and says what would be done."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from mvkt_ray.cli.display.console import byte_size, facts, grid, heading, number_ranges

if TYPE_CHECKING:
    from mvkt_ray.config.schema import StudyConfig
    from mvkt_ray.search.choosing.space import SearchSpace
    from mvkt_ray.search.ledger.study_folder import StudyFolder
    from mvkt_ray.search.stages import Prepared
    from mvkt_ray.storage.location import Location


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchPlan:
    """What a search would do."""

    stages: tuple[tuple[str, str], ...]
    """Each stage, and what is done or reused in it."""
    conditions: tuple[str, ...]
    n_trials: int
    n_baselines: int


def plan_search(
    config: "StudyConfig",
    folder: "StudyFolder",
    *,
    data: "Location | None",
    teacher: "Location | None",
) -> SearchPlan:
    """Check a search as far as its inputs exist, without writing anything.

    Raises:
        ConfigError: The study does not fit the data.
        DataError: The data or an artifact cannot be used.
    """
    from mvkt_ray.search.stages import prepare
    from mvkt_ray.storage.artifacts import MANIFEST_NAME

    space = check_before_start(config, folder, data)
    shards = _find_shards(folder, data)
    prepared = None
    if (shards / MANIFEST_NAME).exists():
        prepared = prepare(config, shards)
        splits = prepared.splits
        first = (
            f"{shards}: {len(splits.train.rows):,} recordings to train, "
            f"{len(splits.val.rows):,} to validate, {splits.n_test:,} kept for the test"
        )
    else:
        first = _plan_ingest(config, data)
    n_baselines = len(config.search.baselines) * len(space.conditions)
    n_trials = config.search.n_trials
    stages = (
        ("shards", first),
        ("teacher", _plan_teacher(config, teacher or folder.teacher, given=teacher is not None)),
        ("knowledge", _plan_knowledge(config, folder, prepared)),
        (
            "trials",
            f"{n_trials}, of which {min(n_baselines, n_trials)} are baselines, of up to "
            f"{config.student.epochs} epochs",
        ),
    )
    return SearchPlan(
        stages=stages,
        conditions=tuple(condition.name for condition in space.conditions),
        n_trials=n_trials,
        n_baselines=n_baselines,
    )


def check_before_start(
    config: "StudyConfig", folder: "StudyFolder", data: "Location | None"
) -> "SearchSpace":
    """Check the data's folder and the search space, before Ray starts and anything is written.

    Raises:
        ConfigError: The space, a lead or the number of trials is wrong.
        DataError: There are no such recordings.
    """
    from mvkt_ray.data.recording import LEADS
    from mvkt_ray.search.choosing.space import SearchSpace
    from mvkt_ray.storage.artifacts import MANIFEST_NAME, read_manifest

    shards = _find_shards(folder, data)
    known = (shards / MANIFEST_NAME).exists()
    if not known:
        _plan_ingest(config, data)
    leads = read_manifest(shards, "shards").details["leads"] if known else LEADS
    return SearchSpace.from_config(config, leads)


def plan_tables(
    config: "StudyConfig", where: str, plan: SearchPlan, prediction: str
) -> list[RenderableType]:
    """Draw a plan, and what it is predicted to take."""
    folds = config.data.folds
    rows: dict[str, object] = {
        "study": config.name,
        "task": f"{config.data.task} of {config.data.source}",
        "folds": f"train {number_ranges(folds.train)}; validation {number_ranges(folds.val)}; "
        f"test {number_ranges(folds.test)}",
        "leads": " ".join(plan.conditions),
        "where": where,
        "predicted": prediction,
    }
    table = grid(["stage", "what would be done"])
    for stage, what in plan.stages:
        table.add_row(stage, what)
    return [facts(rows), table, heading("Nothing has been written.")]


def plan_as_value(config: "StudyConfig", where: str, plan: SearchPlan) -> dict[str, Any]:
    """Return a plan as plain values, for JSON."""
    return {
        "study": config.name,
        "where": where,
        "stages": dict(plan.stages),
        "conditions": list(plan.conditions),
        "n_trials": plan.n_trials,
        "n_baselines": plan.n_baselines,
    }


def _find_shards(folder: "StudyFolder", data: "Location | None") -> "Location":
    """Return the shards of a search: those given, those that it began with, or its own."""
    if data is None and folder.inputs_file.exists():
        return folder.read_inputs()["shards"] or folder.shards
    return data or folder.shards


def _plan_ingest(config: "StudyConfig", data: "Location | None") -> str:
    from mvkt_ray.data.sources import open_source
    from mvkt_ray.errors import ConfigError, DataError

    if data is None and config.data.source != "synthetic":
        raise ConfigError(
            f"--data is missing: the study reads {config.data.source}. Give the folder of the "
            "dataset, or of shards that `mvkt ingest` made."
        )
    source = open_source(config.data.source, str(data or ""), config.data.source_options)
    # The first recording shows that the folder is what it should be; counting all may take long.
    if next(iter(source.references(config.data.sampling_rate_hz)), None) is None:
        raise DataError(f"{data} holds no recordings of {config.data.source}: check the path.")
    where = f" from {data}" if data else ""
    return f"ingest {config.data.source}{where} at {config.data.sampling_rate_hz} Hz"


def _plan_teacher(config: "StudyConfig", location: "Location", *, given: bool) -> str:
    from mvkt_ray.storage.artifacts import MANIFEST_NAME, read_manifest

    if given or (location / MANIFEST_NAME).exists():
        details = read_manifest(location, "teacher").details
        return f"use {location}, validation macro AUROC {details['macro_auroc']:.3f}"
    return f"train {config.teacher.network} for {config.teacher.epochs} epochs"


def _plan_knowledge(
    config: "StudyConfig", folder: "StudyFolder", prepared: "Prepared | None"
) -> str:
    from mvkt_ray.storage.artifacts import MANIFEST_NAME

    if config.student.knowledge == "online":
        return "none: the teacher runs in the loop of every trial"
    if (folder.knowledge / MANIFEST_NAME).exists():
        return f"use {folder.knowledge}"
    if prepared is None:
        return "compute; its size is known once the shards are there"
    return f"compute, about {byte_size(_knowledge_bytes(config, prepared))}"


def _knowledge_bytes(config: "StudyConfig", prepared: "Prepared") -> int:
    from mvkt_ray.distill.knowledge import knowledge_size_bytes
    from mvkt_ray.models import build_network
    from mvkt_ray.search.stages import count_crops

    n_classes = len(prepared.task.classes)
    network = build_network(config.teacher.network, len(prepared.view.leads), n_classes)
    n_recordings = len(prepared.splits.train.rows)
    return knowledge_size_bytes(
        n_recordings if config.student.knowledge == "record" else count_crops(prepared),
        n_classes,
        network.embedding_dim,
        n_recordings=n_recordings,
    )
