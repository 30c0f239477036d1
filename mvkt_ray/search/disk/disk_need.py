"""Predicts the disk space that a search still needs, and refuses a search that lacks it.

An upper bound: every remaining trial runs to its end with the largest student of the space. Shards
and finals are not included.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.config.schema import StudyConfig
from mvkt_ray.errors import MachineError
from mvkt_ray.models.networks import build_network
from mvkt_ray.search.choosing.student_sizes import student_facts
from mvkt_ray.search.planned_stages import assistants_bytes, knowledge_bytes
from mvkt_ray.search.search_plan import SearchPlan
from mvkt_ray.search.spending.forecast import trials_at_once
from mvkt_ray.search.stages import Prepared
from mvkt_ray.slots import Node
from mvkt_ray.storage.location import Location

_FLOAT_BYTES = 4
_BANKS = 2
_MOMENTS = 2
"""Numbers that Adam and AdamW keep for each weight."""

_ASIDE = 2
"""Factor for a checkpoint, which is written beside the one that it replaces."""

_BUFFERS = 1.05
"""Factor for the state of a network beside its weights: running means and variances."""

_CHECKPOINT_BYTES = 200_000
"""Names and headers of some hundred tensors, random states, and the epochs so far."""

_ROW_BYTES = 40
"""Ids of recording and patient in a row of predictions."""

_EPOCH_BYTES = 400
_CLASS_EPOCH_BYTES = 30
_TRIAL_BYTES = 20_000
"""Size of a trial's results and log, and of its rows in the ledger."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskNeed:
    """Bytes that the rest of a search will write."""

    stages: int
    """Bytes of the missing knowledge of the teacher and of assistants."""
    checkpoint: int
    """Bytes of the checkpoint of a running trial, while it is written."""
    n_at_once: int
    trial: int
    """Bytes of an ended trial."""
    n_trials: int
    """Number of trials that have not ended."""

    @property
    def total(self) -> int:
        """All bytes that the rest of the search will write."""
        return self.stages + self.n_at_once * self.checkpoint + self.n_trials * self.trial


def predict_disk_need(
    plan: SearchPlan, *, n_ended: int, nodes: Sequence[Node], one_at_a_time: bool
) -> DiskNeed | None:
    """Predict the bytes still to be written; None before the recordings are known.

    Args:
        plan: Plan of the search.
        n_ended: Number of ended trials.
        nodes: Present nodes.
        one_at_a_time: Whether trials never run side by side.
    """
    config, prepared = plan.config, plan.prepared
    if prepared is None:
        return None
    stages = knowledge_bytes(config, prepared) if plan.stage("knowledge").action == "make" else 0
    if any(stage.name == "assistants" and stage.action == "make" for stage in plan.stages):
        stages += assistants_bytes(config, plan.space, prepared)
    n_trials = max(0, config.search.n_trials - n_ended)
    side_by_side = () if one_at_a_time else nodes
    most = config.resources.max_concurrent_trials or n_trials
    n_leads = max(len(condition.leads) for condition in plan.space.conditions)
    n_weights = _most_weights(config, n_leads, len(prepared.task.classes))
    return DiskNeed(
        stages=stages,
        checkpoint=_ASIDE * _checkpoint_bytes(config, prepared, n_weights),
        n_at_once=min(max(1, min(trials_at_once(config, side_by_side), most)), n_trials),
        trial=_trial_bytes(config, prepared, n_weights),
        n_trials=n_trials,
    )


def expect_room(folder: Location, need: DiskNeed | None) -> None:
    """Refuse a search that does not fit on its disk; object stores are not checked.

    Raises:
        MachineError: With the needed and the free bytes.
    """
    if need is None or not folder.is_local:
        return
    path = folder.local_path.absolute()
    there = next(each for each in (path, *path.parents) if each.exists())
    free = shutil.disk_usage(there).free
    if free < need.total:
        raise MachineError(
            f"The disk of {folder} cannot hold the search: it needs up to {need.total:,} bytes, "
            f"but {free:,} are free at {_shortest(there)}. {need.n_trials} trials keep up to "
            f"{need.trial:,} bytes each, {need.n_at_once} at once {need.checkpoint:,} more, and "
            f"{need.stages:,} are knowledge. Make room (`mvkt gc` finds unneeded files of other "
            "studies), give an --out on another disk or in a store, or ask for fewer trials by "
            "--max-trials. Nothing was written."
        )


def _shortest(path: Path) -> Path:
    """Return the mount point of a path."""
    return next((each for each in (path, *path.parents) if each.is_mount()), path)


def _most_weights(config: StudyConfig, n_leads: int, n_classes: int) -> int:
    """Return the number of parameters of the largest student that a trial may have."""
    sizes = {name: int(_most(config, name)) for name in ("student_width", "student_depth")}
    most = max(
        student_facts(
            {"student": student, **sizes},
            n_leads=n_leads,
            n_classes=n_classes,
            n_samples=config.crop_samples,
        ).n_parameters
        for student in config.students
    )
    limit = config.search.limits.parameters
    return most if limit is None else min(most, int(limit))


def _checkpoint_bytes(config: StudyConfig, prepared: Prepared, n_weights: int) -> int:
    """Return the bytes of weights and their moments, averaged weights, and the banks of CLT."""
    copies = 1 + _MOMENTS + (_most(config, "ema_decay") > 0)
    numbers = n_weights * copies
    if _most(config, "clt_weight") > 0:
        teacher = config.teacher.of_assistant() or config.teacher
        width = build_network(teacher.network, len(prepared.view.leads), 1).embedding_dim
        projection_dim = int(_most(config, "projection_dim"))
        heads = 2 * projection_dim * width * teacher.members * (1 + _MOMENTS)
        numbers += heads + _BANKS * projection_dim * len(prepared.splits.train.rows)
    return round(_BUFFERS * numbers * _FLOAT_BYTES) + _CHECKPOINT_BYTES


def _trial_bytes(config: StudyConfig, prepared: Prepared, n_weights: int) -> int:
    n_classes = len(prepared.task.classes)
    # Probabilities, and labels of one byte.
    row = _ROW_BYTES + n_classes * (_FLOAT_BYTES + 1)
    epochs = config.student.epochs * (_EPOCH_BYTES + n_classes * _CLASS_EPOCH_BYTES)
    predictions = len(prepared.splits.val.rows) * row
    weights = round(_BUFFERS * n_weights * _FLOAT_BYTES)
    return weights + predictions + epochs + _TRIAL_BYTES


def _most(config: StudyConfig, name: str) -> float:
    """Return the largest possible value of a hyper-parameter in a trial."""
    row = config.space.get(name)
    drawn = () if row is None else (row.value, row.high, *(row.choices or ()))
    # A parameter that is not drawn beside some student has its default there.
    given = (getattr(Hyperparameters(), name), config.plain_kd.get(name), *drawn)
    return max(float(each) for each in given if isinstance(each, int | float))
