"""Cross-fitting: logits of training recordings by networks that were trained without them.

The patients of the training split are divided into K groups, and for each group a network is
trained on the recordings of all others. The logits of a recording are those of its group's network.
The logits of an unlabelled recording, on which no network was trained, are the mean over all K.
(Out-of-fold predictions, as in stacking: Wolpert, Neural Networks 1992.)

Shapes: B batch, L leads, S samples, C classes, N recordings.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mvkt_ray.data.splits import Split
from mvkt_ray.models.network import Network

ALL = -1
"""Stands for the mean of all networks instead of one group's."""


def groups_of(split: Split, n_groups: int, seed: int) -> NDArray[np.int64]:
    """Return int64 `[N]`: the group of each recording's patient, from 0.

    The group depends on the patient and the seed alone, so that it stays valid when recordings are
    added to the split.

    Args:
        split: A split.
        n_groups: K.
        seed: Seed of the division.
    """
    known: dict[str, int] = {}
    for patient in split.patient_ids:
        if patient not in known:
            # Not `hash`, which differs from process to process.
            digest = hashlib.sha256(f"{seed}/{patient}".encode()).digest()
            known[patient] = int.from_bytes(digest[:8], "big") % n_groups
    return np.array([known[patient] for patient in split.patient_ids], dtype=np.int64)


def speakers_of(split: Split, n_groups: int, seed: int) -> NDArray[np.int64]:
    """Return int64 `[N]`: group whose network predicts each recording; `ALL` if unlabelled."""
    return np.where(split.has_label, groups_of(split, n_groups, seed), ALL)


def unseen_logits(
    networks: Sequence[Network], signal_BLS: Tensor, speaker_B: NDArray[np.int64]
) -> Tensor:
    """Return float32 `[B, C]`: logits, each row by the network of its group.

    Args:
        networks: Networks by group, in evaluation mode, on the signal's device.
        signal_BLS: Crops.
        speaker_B: int64 `[B]`: groups, as `speakers_of`.
    """
    parts: list[Tensor] = []
    for group, network in enumerate(networks):
        share_B = np.where(speaker_B == ALL, 1 / len(networks), speaker_B == group)
        # A network runs on its own rows only: on labelled recordings all K cost about one pass.
        chosen = torch.from_numpy(np.flatnonzero(share_B)).to(signal_BLS.device)
        if not len(chosen):
            continue
        logits_XC, _ = network(signal_BLS[chosen])
        share_X = torch.from_numpy(share_B[share_B > 0]).to(logits_XC)
        part_BC = logits_XC.new_zeros((len(signal_BLS), logits_XC.shape[1]), dtype=torch.float32)
        part_BC[chosen] = logits_XC.float() * share_X[:, None].float()
        parts.append(part_BC)
    return torch.stack(parts).sum(dim=0)
