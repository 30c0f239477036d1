"""Logits of networks that have not seen the recordings that they are asked about.

The patients of the training split are dealt to K groups, and a network is trained for each group on
all recordings but the group's. What is said of a recording is what its group's network says; of one
without a known label, which none was trained on, it is the mean over all K. (Out-of-fold
predictions, as in stacking: Wolpert, Neural Networks 1992.)

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
"""In place of a group: the mean of all networks."""


def groups_of(split: Split, n_groups: int, seed: int) -> NDArray[np.int64]:
    """Return int64 `[N]`: the group of each recording's patient, from 0.

    It follows from the patient and the seed alone, so that a split that more recordings have come
    to still knows who has not seen which.

    Args:
        split: Any.
        n_groups: K.
        seed: Another one gives other groups.
    """
    known: dict[str, int] = {}
    for patient in split.patient_ids:
        if patient not in known:
            # Not `hash`, which Python salts anew in each process.
            digest = hashlib.sha256(f"{seed}/{patient}".encode()).digest()
            known[patient] = int.from_bytes(digest[:8], "big") % n_groups
    return np.array([known[patient] for patient in split.patient_ids], dtype=np.int64)


def speakers_of(split: Split, n_groups: int, seed: int) -> NDArray[np.int64]:
    """Return int64 `[N]`: whose network speaks of each recording; `ALL` where no label is known."""
    return np.where(split.has_label, groups_of(split, n_groups, seed), ALL)


def unseen_logits(
    networks: Sequence[Network], signal_BLS: Tensor, speaker_B: NDArray[np.int64]
) -> Tensor:
    """Return logits_BC, float32, each row by the network that speaks of it.

    Args:
        networks: By group, in evaluation mode, where the signal is.
        signal_BLS: Crops.
        speaker_B: As `speakers_of` gives them.
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
