"""Who speaks of a recording: a network that has not seen its patient."""

from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.data.splits import Split
from mvkt_ray.distill.cross_fitting import ALL, groups_of, speakers_of, unseen_logits
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import build_network


@dataclass
class Patients:
    """As much of a split as groups depend on."""

    patient_ids: np.ndarray
    has_label: np.ndarray


def split_of(patients: list[int], labelled: list[bool] | None = None) -> Split:
    known = np.array(labelled if labelled is not None else [True] * len(patients), dtype=bool)
    return cast(Split, Patients(np.array([f"p{n}" for n in patients]), known))


@given(
    patients=st.lists(st.integers(0, 20), min_size=1, max_size=40),
    n_groups=st.integers(2, 6),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_groups_part_patients_and_know_them_in_any_split(
    patients: list[int], n_groups: int, seed: int, data: st.DataObject
) -> None:
    group_N = groups_of(split_of(patients), n_groups, seed)
    of_patient: dict[int, set[int]] = {}
    for patient, group in zip(patients, group_N.tolist(), strict=True):
        of_patient.setdefault(patient, set()).add(group)
        assert 0 <= group < n_groups
    assert all(len(groups) == 1 for groups in of_patient.values())
    some = data.draw(st.lists(st.sampled_from(patients), min_size=1))
    for patient, group in zip(some, groups_of(split_of(some), n_groups, seed), strict=True):
        assert of_patient[patient] == {int(group)}


def test_groups_are_about_as_large_as_each_other_and_another_seed_gives_others() -> None:
    split = split_of(list(range(2000)))
    first, second = (groups_of(split, 4, seed) for seed in (0, 1))
    # Four standard deviations of a fair draw.
    assert np.abs(np.bincount(first) - 500).max() < 4 * np.sqrt(2000 * 0.25 * 0.75)
    assert (first == second).mean() == pytest.approx(0.25, abs=0.05)


def test_all_speak_of_recordings_whose_label_nobody_knows() -> None:
    split = split_of([1, 2, 1, 3], [True, False, False, True])
    group_N, speaker_N = groups_of(split, 3, 0), speakers_of(split, 3, 0)
    assert speaker_N.tolist() == [group_N[0], ALL, ALL, group_N[3]]


def networks(n: int) -> list[Network]:
    with torch.random.fork_rng():
        torch.manual_seed(n)
        return [build_network("sepconv1d_tiny", 2, 3).eval() for _ in range(n)]


@settings(deadline=None, max_examples=20)
@given(speakers=st.lists(st.integers(-1, 2), min_size=1, max_size=6))
def test_every_row_is_said_by_its_speaker_or_is_the_mean_of_all(speakers: list[int]) -> None:
    three = networks(3)
    signal_BLS = torch.randn(len(speakers), 2, 64)
    with torch.no_grad():
        logits_BC = unseen_logits(three, signal_BLS, np.array(speakers))
        said = [network(signal_BLS)[0] for network in three]
    for row, speaker in enumerate(speakers):
        mean_C = (said[0][row] + said[1][row] + said[2][row]) / 3
        expected_C = mean_C if speaker == ALL else said[speaker][row]
        torch.testing.assert_close(logits_BC[row], expected_C, rtol=1e-4, atol=1e-5)
