"""The stages of a search, with a description of the work or of the reused result.

Reads: manifests of existing artifacts. Writes nothing.
"""

from dataclasses import dataclass
from typing import Literal

from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.distill.knowledge import knowledge_size_bytes
from mvkt_ray.models.networks import build_network
from mvkt_ray.phrasing import byte_size, listing
from mvkt_ray.search.choosing.assistant_trials import assistant_trials
from mvkt_ray.search.choosing.grid import n_points_text
from mvkt_ray.search.choosing.space import SearchSpace, n_baselines, n_trials
from mvkt_ray.search.choosing.warm_starts.learnt import Learnt
from mvkt_ray.search.ledger.study_folder import StudyFolder
from mvkt_ray.search.stages import Prepared, count_crops
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import MANIFEST_NAME, Manifest

StageName = Literal["shards", "teacher", "knowledge", "assistants", "trials"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedStage:
    """One stage of a search."""

    name: StageName
    action: Literal["make", "reuse", "skip"]
    what: str
    """Description of the work or of the reused result, or the reason for skipping the stage."""


def ingest_stage(config: StudyConfig, data: Location | None) -> PlannedStage:
    """Describe the ingest of recordings in the folder `data`, or of synthetic ones."""
    source = config.data.source if data is None else f"{config.data.source} from {data}"
    what = f"ingest {source} at {config.data.sampling_rate_hz} Hz"
    return PlannedStage(name="shards", action="make", what=what)


def shards_stage(prepared: Prepared) -> PlannedStage:
    """Describe existing shards, with the sizes of their splits."""
    splits = prepared.splits
    n_unlabelled = int((~splits.train.has_label).sum())
    of_these = f" ({n_unlabelled:,} of them without a known label)" if n_unlabelled else ""
    what = (
        f"{prepared.location}: {len(splits.train.rows):,} recordings to train{of_these}, "
        f"{len(splits.val.rows):,} to validate, {splits.n_test:,} kept for the test"
    )
    if splits.n_in_no_split:
        what += f"; {splits.n_in_no_split:,} are in no split"
    return PlannedStage(name="shards", action="reuse", what=what)


def teacher_stage(config: StudyConfig, location: Location, found: Manifest | None) -> PlannedStage:
    """Describe the training of a teacher, or the existing one."""
    if found is None:
        what = f"train {config.teacher.described} for {config.teacher.epochs} epochs"
        return PlannedStage(name="teacher", action="make", what=what)
    what = f"{location}, validation macro AUROC {found.details['macro_auroc']:.3f}"
    return PlannedStage(name="teacher", action="reuse", what=what)


def knowledge_stage(
    config: StudyConfig, folder: StudyFolder, prepared: Prepared | None
) -> PlannedStage:
    """Describe the teacher's knowledge; its size is known once the shards are prepared."""
    if config.student.knowledge == "online":
        what = "none: the teacher runs in the loop of every trial"
        return PlannedStage(name="knowledge", action="skip", what=what)
    if (folder.knowledge / MANIFEST_NAME).exists():
        return PlannedStage(name="knowledge", action="reuse", what=str(folder.knowledge))
    size = "; its size is known once the shards exist"
    if prepared is not None:
        size = f", about {byte_size(knowledge_bytes(config, prepared))}"
    return PlannedStage(name="knowledge", action="make", what=f"compute{size}")


def assistants_stage(
    config: StudyConfig, space: SearchSpace, folder: StudyFolder, prepared: Prepared | None
) -> tuple[PlannedStage, ...]:
    """Describe the training and the knowledge of the assistants; empty without assistants.

    Raises:
        ConfigError: The assistants' configuration is invalid.
    """
    made, trials = config.teacher.of_assistant(), assistant_trials(config, space)
    if made is None:
        return ()
    at = folder.assistants
    names = [trial.condition.name for trial in trials]
    parts = [part for name in names for part in (at.teacher(name), at.knowledge(name))]
    if all((part / MANIFEST_NAME).exists() for part in parts):
        return (PlannedStage(name="assistants", action="reuse", what=str(at.root)),)
    what = (
        f"train {made.network} for {made.epochs} epochs, for each condition one ({len(trials)}), "
        "and compute their knowledge"
    )
    if prepared is not None:
        what += f", about {byte_size(assistants_bytes(config, space, prepared))} in all"
    return (PlannedStage(name="assistants", action="make", what=what),)


def trials_stage(
    config: StudyConfig, space: SearchSpace, learnt: Learnt | None = None
) -> PlannedStage:
    """Describe the trials: number, epochs, grid, objectives and limits."""
    count = n_trials(config, space)
    what = (
        f"{count}, of which {min(n_baselines(config, space), count)} are baselines, of up to "
        f"{config.student.epochs} epochs"
    )
    if config.search.seeds_per_trial > 1:
        what += f" from each of {config.search.seeds_per_trial} seeds"
    if space.enqueued:
        what += f"; {len(space.enqueued)} of the others are from search.enqueue"
    if space.grid is not None:
        what += f"; the others are a grid of {n_points_text(len(space.grid))} for each lead"
        if space.n_beyond_limits:
            what += f", without {n_points_text(space.n_beyond_limits)} beyond search.limits"
    if learnt is not None:
        what += f"; the sampler has learnt from {learnt.n_trials} of {learnt.study}"
        if learnt.n_left_out:
            what += f", without {learnt.n_left_out} outside the ranges of this space"
    if config.search.costs:
        what += f"; for {listing(config.search.objectives)}"
    if space.limits is not None:
        what += f"; of students up to {space.limits.allowed}"
    return PlannedStage(name="trials", action="make", what=what)


def assistants_bytes(config: StudyConfig, space: SearchSpace, prepared: Prepared) -> int:
    """Return the predicted bytes of the knowledge of all assistants; 0 without assistants."""
    made = config.teacher.of_assistant()
    if made is None:
        return 0
    return sum(
        _bytes_of(config, prepared, made.network, len(trial.condition.leads))
        for trial in assistant_trials(config, space)
    )


def knowledge_bytes(config: StudyConfig, prepared: Prepared) -> int:
    """Return the predicted bytes of the teacher's knowledge."""
    teacher, n_leads = config.teacher, len(prepared.view.leads)
    return _bytes_of(config, prepared, teacher.network, n_leads, n_members=teacher.members)


def _bytes_of(
    config: StudyConfig, prepared: Prepared, name: str, n_leads: int, *, n_members: int = 1
) -> int:
    """Return the predicted bytes of a network's outputs for the training split."""
    n_classes, n_recordings = len(prepared.task.classes), len(prepared.splits.train.rows)
    network = build_network(name, n_leads, n_classes)
    return knowledge_size_bytes(
        n_recordings if config.student.knowledge == "record" else count_crops(prepared),
        n_classes,
        network.embedding_dim * n_members,
        n_recordings=n_recordings,
    )
