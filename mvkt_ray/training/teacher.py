"""The teacher: the model on all leads, trained once per study, with labels only.

It is one network, or an ensemble of networks with different seeds, trained one after another.

Reads: shards. Writes: an artifact of kind `teacher`: `teacher.safetensors` and the manifest, with
the network's name, its view, its classes, and the metrics of every epoch and member.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import safetensors.torch
from torch import nn

from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.tasks import Task
from mvkt_ray.data.views import View
from mvkt_ray.errors import ArtifactError, StaleArtifactError
from mvkt_ray.file_guards import reading
from mvkt_ray.models.ensemble import Ensemble, one_of
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import EpochMetrics
from mvkt_ray.storage.artifacts import (
    build_folder,
    claim_output,
    expect_input,
    open_file,
    publish,
    read_manifest,
)
from mvkt_ray.storage.location import Location
from mvkt_ray.storage.manifest import Manifest, recipe_of
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.teaching.members import (
    Member,
    School,
    checkpoint_file,
    examine,
    open_school,
    train_member,
)
from mvkt_ray.training.teaching.teacher_job import TeacherJob, teacher_config

KIND = "teacher"
WEIGHTS_FILE = "teacher.safetensors"
CROSS_FITTED_FILE = "cross_fitted.safetensors"
"""Weights of networks that are trained without some patients; with `teacher.cross_fitting` only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Teacher:
    """A finished teacher."""

    network: Network | Ensemble
    """In evaluation mode, on the CPU."""
    view: View
    classes: tuple[str, ...]
    manifest: Manifest
    cross_fitted: tuple[Network, ...] = ()
    """By group of patients, the network trained without it; see `distill/cross_fitting.py`."""

    @property
    def fingerprint(self) -> str:
        """Hash of its inputs, its configuration and its weights."""
        return self.manifest.fingerprint

    @property
    def precision(self) -> str:
        """Precision of its training: `float32` or `bf16`."""
        return str(self.manifest.details["precision"])

    @property
    def macro_auroc(self) -> float:
        """Macro AUROC on the validation split after its last epoch."""
        return float(self.manifest.details["macro_auroc"])


def train_teacher(
    job: TeacherJob,
    out: str | Location,
    report: Callable[[EpochMetrics], None],
    *,
    ranks: Ranks | None = None,
) -> Manifest:
    """Train a teacher and publish it; resume from the checkpoint of a killed training.

    Called on every rank. The same teacher, already finished at `out`, is returned as it is.

    Args:
        job: Data and configuration of the training.
        out: A folder that does not exist yet, on a file system or in a store that all ranks see.
        report: Called on the first rank after every epoch, and again for those of a checkpoint;
            epochs of an ensemble are numbered consecutively over its members.
        ranks: The process group; None: the one of this process.

    Returns:
        The manifest of the teacher.

    Raises:
        ConfigError: The batch size is smaller than the number of ranks.
        DataError: The shards lack a lead or a split, or cannot be scored.
        ArtifactError: Something else is at `out`.
        TrialDivergedError: The loss or the predictions are not finite.
    """
    ranks = ranks or Ranks.here()
    location = Location.parse(out)
    shards = open_shards(job.shards)
    inputs = {"shards": shards.fingerprint}
    recipe = recipe_of(KIND, teacher_config(job), inputs)
    finished = claim_output(location, recipe, resume=True)
    # No rank may see the finished teacher that the first rank is about to publish.
    ranks.wait()
    if finished is not None:
        return finished

    school = open_school(job, location, shards, recipe, ranks)
    members = [
        train_member(school, number, seed, report)
        for number, seed in enumerate(job.config.member_seeds)
    ]
    cross_fitted = [
        train_member(school.without(group), len(members) + group, seed, report)
        for group, seed in enumerate(job.config.cross_fitting_seeds)
    ]
    per_class_auroc = examine(school, members)
    if ranks.is_first:
        _publish(school, members, cross_fitted, per_class_auroc, inputs)
    ranks.wait()
    return read_manifest(location, KIND)


def open_teacher(
    location: str | Location, *, shards: Shards | None = None, task: Task | None = None
) -> Teacher:
    """Load a finished teacher.

    Args:
        location: Folder of the teacher.
        shards: Shards on which it must have been trained; None: any.
        task: Task whose classes it must predict; None: any.

    Raises:
        ArtifactError: There is no finished teacher, or it is damaged.
        StaleArtifactError: It was trained on other shards or for other classes.
    """
    root = Location.parse(location)
    manifest = read_manifest(root, KIND)
    if shards is not None:
        expect_input(f"The teacher {root}", manifest, "shards", shards.fingerprint)
    own_classes = tuple(manifest.details["classes"])
    if task is not None and own_classes != task.classes:
        raise StaleArtifactError(
            f"The teacher {root} predicts the classes {', '.join(own_classes)}, but is used for "
            f"{', '.join(task.classes)}. Set data.task to the teacher's, or train a teacher for "
            "this task."
        )
    view = View.from_json(manifest.config["view"])
    config, shape = manifest.config["teacher"], (len(view.leads), len(own_classes))
    network = one_of(_build(config, *shape, config["members"]))
    _load(network, root, manifest, WEIGHTS_FILE)
    cross_fitted = _build(config, *shape, config["cross_fitting"])
    if cross_fitted:
        _load(Ensemble(cross_fitted), root, manifest, CROSS_FITTED_FILE)
    return Teacher(
        network=network,
        view=view,
        classes=own_classes,
        manifest=manifest,
        cross_fitted=tuple(cross_fitted),
    )


def _build(config: Mapping[str, Any], n_leads: int, n_classes: int, n: int) -> list[Network]:
    """Build `n` networks by the configuration in a teacher's manifest."""
    return [
        build_network(config["network"], n_leads, n_classes, dropout=config["dropout"])
        for _ in range(n)
    ]


def _load(network: nn.Module, root: Location, manifest: Manifest, name: str) -> None:
    """Load the weights of a teacher's file into a network, and set it to evaluation mode."""
    content = open_file(root, manifest, name, Path.read_bytes)
    advice = "It was damaged after it was published: train the teacher again."
    with reading(root / name, advice, ArtifactError):
        if hashlib.sha256(content).hexdigest() != manifest.files[name].sha256:
            raise ValueError("its hash differs from the manifest")
        network.load_state_dict(safetensors.torch.load(content))
    network.eval()


def _publish(
    school: School,
    members: Sequence[Member],
    cross_fitted: Sequence[Member],
    per_class_auroc: Mapping[str, float],
    inputs: dict[str, str],
) -> None:
    job, location, splits = school.job, school.location, school.splits
    network = one_of([member.network for member in members])
    every = [*members, *cross_fitted]
    with build_folder(location) as folder:
        Location.parse(folder / WEIGHTS_FILE).write_bytes(_weights(network))
        if cross_fitted:
            others = Ensemble([member.network for member in cross_fitted])
            Location.parse(folder / CROSS_FITTED_FILE).write_bytes(_weights(others))
        publish(
            location,
            kind=KIND,
            config=teacher_config(job),
            inputs=inputs,
            built=folder,
            counts={
                "n_train": len(splits.train.rows),
                "n_val": len(splits.val.rows),
                "n_parameters": sum(weight.numel() for weight in network.parameters()),
            },
            details={
                "network": job.config.described,
                "precision": "bf16" if school.bf16 else "float32",
                "embedding_dim": network.embedding_dim,
                "classes": list(job.task.classes),
                "macro_auroc": fmean(per_class_auroc.values()),
                "per_class_auroc": dict(per_class_auroc),
                "members": [_described(member) for member in members],
                "cross_fitted": [_described(member) for member in cross_fitted],
                "epochs": [metrics.to_json() for metrics in _epochs(job, every)],
                "wall_s": sum(member.outcome.wall_s for member in every),
                "cpu_s": sum(member.outcome.cpu_s for member in every),
            },
            command=job.command,
        )
    if location.is_local:
        for number in range(len(every)):
            (location / checkpoint_file(number)).delete()


def _weights(network: nn.Module) -> bytes:
    weights = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    return safetensors.torch.save(weights)


def _described(member: Member) -> dict[str, Any]:
    return {
        "seed": member.seed,
        "macro_auroc": member.score.metrics.macro_auroc,
        "per_class_auroc": dict(member.score.per_class_auroc),
    }


def _epochs(job: TeacherJob, members: Sequence[Member]) -> Iterator[EpochMetrics]:
    """Yield every epoch as reported: numbered consecutively over the members."""
    for number, member in enumerate(members):
        for record in member.outcome.history:
            metrics = record.metrics
            yield replace(metrics, epoch=number * job.config.epochs + metrics.epoch)
