"""Teacher and student as one writes them in plain PyTorch: loops, losses, validation.

Shapes: B batch, L leads, S samples, W windows, C classes, N recordings.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.peers.ptbxl_by_wfdb import CLASSES
from benchmarks.peers.recipe import (
    BATCH_SIZE,
    CROP_SAMPLES,
    GRID_SAMPLES,
    NETWORK,
    STRIDE_SAMPLES,
    TEACHER_LEARNING_RATE,
    WEIGHT_DECAY,
    Config,
    Recipe,
)
from mvkt_ray.data.recording import LEADS
from mvkt_ray.models.networks import build_network


class Recordings(Protocol):
    """What a contender feeds its loops with, however it does so."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches of an epoch."""
        ...

    def train_batches(self) -> Iterable[tuple[Tensor, Tensor]]:
        """Shuffle, and yield crops `[B, 12, S]`, one of each recording, and labels `[B, C]`."""
        ...

    def val_windows(self) -> Iterable[tuple[Tensor, Tensor]]:
        """Yield all windows of recordings `[B, W, 12, S]` and labels `[B, C]`."""
        ...


def n_crops(n_samples: int) -> int:
    """Return where crops may start, in steps of the grid."""
    return (n_samples - CROP_SAMPLES) // GRID_SAMPLES + 1


def windows_of(signal: Tensor) -> Tensor:
    """Return all overlapping windows `[..., W, L, S]` of signals `[..., L, samples]`."""
    return signal.unfold(-1, CROP_SAMPLES, STRIDE_SAMPLES).movedim(-2, -3)


def batch_size(n_recordings: int) -> int:
    """Return the size of batches; the last, incomplete one is left out."""
    return min(BATCH_SIZE, n_recordings)


def train_teacher(recipe: Recipe, recordings: Recordings) -> nn.Module:
    """Train on labels, all leads."""
    torch.manual_seed(recipe.seed)
    teacher = build_network(NETWORK, len(LEADS), len(CLASSES))

    def loss(signal: Tensor, labels: Tensor) -> Tensor:
        logits, _ = teacher(signal)
        return functional.binary_cross_entropy_with_logits(logits, labels)

    all_leads = slice(0, len(LEADS))
    epochs = _epochs(
        teacher, recordings, loss, all_leads, recipe.teacher_epochs, TEACHER_LEARNING_RATE
    )
    for epoch, score in enumerate(epochs, start=1):
        print(f"teacher, epoch {epoch}: {score:.4f}", flush=True)
    return teacher.eval()


def train_student(
    recipe: Recipe, recordings: Recordings, teacher: nn.Module, config: Config, seed: int
) -> Iterator[tuple[float, nn.Module]]:
    """Train on labels and on what the teacher says of each crop; yield after every epoch."""
    torch.manual_seed(seed)
    student = build_network(NETWORK, 1, len(CLASSES))
    lead = slice(LEADS.index(config["lead"]), LEADS.index(config["lead"]) + 1)

    def loss(signal: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            teacher_logits, _ = teacher(signal)
        logits, _ = student(signal[:, lead])
        return distillation_loss(logits, labels, teacher_logits, config)

    for score in _epochs(student, recordings, loss, lead, recipe.epochs, config["learning_rate"]):
        yield score, student


def distillation_loss(
    logits: Tensor, labels: Tensor, teacher_logits: Tensor, config: Config
) -> Tensor:
    """Return the loss of labels and MKD."""
    label_loss = functional.binary_cross_entropy_with_logits(logits, labels)
    # The same gradient as the divergence of the two: they differ by the teacher's entropy.
    temperature = config["distill_temperature"]
    soft = torch.sigmoid(teacher_logits / temperature)
    kd_loss = functional.binary_cross_entropy_with_logits(logits / temperature, soft)
    return label_loss + config["kd_weight"] * temperature**2 * kd_loss


def _epochs(
    network: nn.Module,
    recordings: Recordings,
    loss: Callable[[Tensor, Tensor], Tensor],
    leads: slice,
    epochs: int,
    learning_rate: float,
) -> Iterator[float]:
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=learning_rate, weight_decay=WEIGHT_DECAY, fused=True
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=learning_rate, total_steps=epochs * recordings.steps_per_epoch
    )
    for _ in range(epochs):
        network.train()
        for signal, labels in recordings.train_batches():
            optimizer.zero_grad()
            loss(signal, labels).backward()
            optimizer.step()
            schedule.step()
        yield evaluate(network, recordings, leads)


@torch.no_grad()
def evaluate(network: nn.Module, recordings: Recordings, leads: slice) -> float:
    """Return the macro AUROC of the highest window of each recording."""
    network.eval()
    scores: list[np.ndarray] = []
    truth: list[np.ndarray] = []
    for signal_BWLS, labels in recordings.val_windows():
        n, n_windows = signal_BWLS.shape[:2]
        logits, _ = network(signal_BWLS[:, :, leads].flatten(0, 1))
        highest = torch.sigmoid(logits).view(n, n_windows, -1).amax(1)
        scores.append(highest.numpy())
        truth.append(labels.numpy())
    scores_NC, labels_NC = np.concatenate(scores), np.concatenate(truth)
    defined = [c for c in range(labels_NC.shape[1]) if 0 < labels_NC[:, c].mean() < 1]
    return float(roc_auc_score(labels_NC[:, defined], scores_NC[:, defined], average="macro"))


def save_teacher(teacher: nn.Module, path: Path) -> None:
    """Write its weights."""
    torch.save(teacher.state_dict(), path)


def load_teacher(path: Path) -> nn.Module:
    """Build it again from its weights."""
    teacher = build_network(NETWORK, len(LEADS), len(CLASSES))
    teacher.load_state_dict(torch.load(path, weights_only=True))
    return teacher.eval()
