"""Batches are the same whatever the number of ranks, and evaluation sees every window once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mvkt_ray.data.loader import Batch, EvalLoader, GridLoader, TrainLoader
from mvkt_ray.data.recording import LEADS, Recording
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.splits import Split
from mvkt_ray.data.views import View
from mvkt_ray.errors import DataError

Make = Callable[..., Any]
N_RECORDINGS = 37
CROP, GRID, STRIDE = 25, 5, 12
LENGTHS = [8 + (number * 13) % 70 for number in range(N_RECORDINGS)]
"""Some shorter than a crop, some of several windows."""


@pytest.fixture(scope="module")
def recordings(make_recording: Make) -> list[Recording]:
    return [make_recording(number, n_samples=n) for number, n in enumerate(LENGTHS)]


@pytest.fixture(scope="module")
def shards(
    tmp_path_factory: pytest.TempPathFactory, ingested: Make, recordings: list[Recording]
) -> Shards:
    return ingested(tmp_path_factory.mktemp("data") / "shards", recordings, rows_per_shard=8)


def view(*leads: str) -> View:
    return View(
        leads=leads or LEADS, crop_samples=CROP, grid_samples=GRID, stride_samples=STRIDE,
        mean_mv=0.05, std_mv=0.4,
    )  # fmt: skip


def split(shards: Shards, rows: list[int] | None = None) -> Split:
    chosen = np.arange(N_RECORDINGS) if rows is None else np.array(rows)
    return Split(
        name="train",
        rows=chosen,
        labels=shards.labels(shards.tasks["ab"])[chosen].astype(np.float32),
        classes=("A", "B"),
        shards=shards,
    )


def expected_crop(recording: Recording, leads: tuple[str, ...], start: int) -> np.ndarray:
    """Cut and scale one crop in the plainest way."""
    whole = recording.signal_mv[[LEADS.index(lead) for lead in leads]]
    if whole.shape[1] < CROP:
        whole = np.tile(whole, (1, CROP))[:, :CROP]
    return (whole[:, start : start + CROP] - 0.05) / 0.4


def joined(batches: list[Batch]) -> tuple[torch.Tensor, ...]:
    names = ("signal_BLS", "labels_BC", "example_B", "crop_B")
    return tuple(torch.cat([getattr(batch, name) for batch in batches]) for name in names)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 5),
    epoch=st.integers(1, 4),
    world_size=st.sampled_from([1, 2, 3, 4]),
    more=st.integers(0, 12),
)
def test_ranks_together_give_the_batches_of_one_rank(
    shards: Shards, seed: int, epoch: int, world_size: int, more: int
) -> None:
    data, seen = split(shards), view("II", "V3")
    size = world_size + more
    alone = list(TrainLoader(shards, data, seen, batch_size=size, seed=seed).epoch(epoch))
    ranks = [
        list(
            TrainLoader(
                shards, data, seen,
                batch_size=size, seed=seed, rank=rank, world_size=world_size,
            ).epoch(epoch)
        )
        for rank in range(world_size)
    ]  # fmt: skip
    assert len(alone) == N_RECORDINGS // size
    assert {len(batches) for batches in ranks} == {len(alone)}
    for step, batch in enumerate(alone):
        together = joined([batches[step] for batches in ranks])
        for one, many in zip(joined([batch]), together, strict=True):
            torch.testing.assert_close(one, many, rtol=0, atol=0)


def test_training_crops_are_the_right_stretch_of_the_right_recording(
    shards: Shards, recordings: list[Recording]
) -> None:
    rows = list(range(3, N_RECORDINGS, 2))
    data, seen = split(shards, rows), view("I", "aVL", "V6")
    for batch in TrainLoader(shards, data, seen, batch_size=5, seed=1).epoch(3):
        assert batch.signal_BLS.shape == (5, 3, CROP)
        assert batch.signal_BLS.dtype == torch.float32
        for position, example in enumerate(batch.example_B.tolist()):
            start = int(batch.crop_B[position]) * GRID
            crop = expected_crop(recordings[rows[example]], seen.leads, start)
            np.testing.assert_allclose(batch.signal_BLS[position], crop, atol=2e-6)
            assert batch.labels_BC[position].tolist() == data.labels[example].tolist()


def test_an_epoch_shows_each_recording_once_and_epochs_differ(shards: Shards) -> None:
    loader = TrainLoader(shards, split(shards), view("II"), batch_size=1, seed=0)
    assert loader.steps_per_epoch == N_RECORDINGS
    first, second = (joined(list(loader.epoch(epoch))) for epoch in (1, 2))
    assert sorted(first[2].tolist()) == list(range(N_RECORDINGS))
    assert first[2].tolist() != second[2].tolist()
    again = joined(
        list(TrainLoader(shards, split(shards), view("II"), batch_size=1, seed=0).epoch(1))
    )
    assert torch.equal(first[0], again[0])
    other = joined(
        list(TrainLoader(shards, split(shards), view("II"), batch_size=1, seed=1).epoch(1))
    )
    assert first[2].tolist() != other[2].tolist()


def test_over_epochs_every_crop_of_the_grid_is_drawn(shards: Shards) -> None:
    row = int(np.argmax(LENGTHS))
    loader = TrainLoader(shards, split(shards, [row]), view("II"), batch_size=1, seed=0)
    drawn = {int(batch.crop_B[0]) for epoch in range(200) for batch in loader.epoch(epoch)}
    assert drawn == set(range(int(view().n_crops(LENGTHS[row]))))


def test_what_order_and_crops_are_does_not_depend_on_the_leads(shards: Shards) -> None:
    teacher = list(TrainLoader(shards, split(shards), view(), batch_size=6, seed=4).epoch(2))
    student = list(TrainLoader(shards, split(shards), view("V2"), batch_size=6, seed=4).epoch(2))
    for a, b in zip(teacher, student, strict=True):
        assert torch.equal(a.example_B, b.example_B)
        assert torch.equal(a.crop_B, b.crop_B)
        assert torch.equal(a.signal_BLS[:, LEADS.index("V2")], b.signal_BLS[:, 0])


def test_a_small_split_is_one_batch_of_which_each_rank_has_a_part(shards: Shards) -> None:
    data = split(shards, [1, 5, 9, 11, 20])
    loaders = [
        TrainLoader(shards, data, view("I"), batch_size=8, seed=0, rank=rank, world_size=2)
        for rank in range(2)
    ]
    parts = [joined(list(loader.epoch(1)))[2].tolist() for loader in loaders]
    assert [len(part) for part in parts] == [2, 3]
    assert not set(parts[0]) & set(parts[1])
    with pytest.raises(DataError, match="5 recordings for 6 workers"):
        TrainLoader(shards, data, view("I"), batch_size=8, seed=0, world_size=6)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.integers(0, N_RECORDINGS - 1), unique=True, min_size=1, max_size=20),
    world_size=st.integers(1, 5),
    batch_size=st.integers(1, 30),
)
def test_every_window_of_every_recording_is_evaluated_exactly_once(
    shards: Shards,
    recordings: list[Recording],
    rows: list[int],
    world_size: int,
    batch_size: int,
) -> None:
    data, seen = split(shards, rows), view("III")
    found: list[tuple[int, int]] = []
    for rank in range(world_size):
        loader = EvalLoader(
            shards, data, seen, batch_size=batch_size, rank=rank, world_size=world_size
        )
        batches = list(loader.batches())
        assert all(len(batch.crop_B) == batch_size for batch in batches[:-1])
        for batch in batches:
            assert set(batch.example_B.tolist()) <= set(loader.examples.tolist())
            pairs = list(zip(batch.example_B.tolist(), batch.crop_B.tolist(), strict=True))
            for position, (example, window) in enumerate(pairs):
                start = int(seen.window_starts(np.array(window), LENGTHS[rows[example]]))
                crop = expected_crop(recordings[rows[example]], seen.leads, start)
                np.testing.assert_allclose(batch.signal_BLS[position], crop, atol=2e-6)
            found += pairs
    assert found == [
        (example, window)
        for example, row in enumerate(rows)
        for window in range(int(seen.n_windows(LENGTHS[row])))
    ]


def test_the_grid_holds_every_training_crop_in_order(shards: Shards) -> None:
    rows = np.array([4, 0, 30, 12])
    loader = GridLoader(shards, rows, view("V1"), batch_size=7)
    counts = view().n_crops(np.array(LENGTHS)[rows])
    assert loader.crop_offsets.tolist() == [0, *np.cumsum(counts).tolist()]
    signal, labels, example, crop = joined(list(loader.batches()))
    assert len(crop) == loader.n_crops_total == counts.sum()
    assert labels.shape == (loader.n_crops_total, 0)
    data = split(shards, rows.tolist())
    for batch in TrainLoader(shards, data, view("V1"), batch_size=4, seed=0).epoch(1):
        at = loader.crop_offsets[batch.example_B.numpy()] + batch.crop_B.numpy()
        assert torch.equal(signal[at], batch.signal_BLS)
        assert torch.equal(example[at], batch.example_B)
        assert torch.equal(crop[at], batch.crop_B)


def test_a_recording_that_lacks_the_lead_is_refused_and_not_made_up(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number, n_leads=11 if number == 2 else 12) for number in range(5)]
    shards = ingested(tmp_path / "s", recordings, missing_leads="keep")
    whole = Split(
        name="train", rows=np.arange(5), labels=np.zeros((5, 1), np.float32),
        classes=("A",), shards=shards,
    )  # fmt: skip
    with pytest.raises(DataError, match="1 of 5 recordings lack the lead 'V6'"):
        TrainLoader(shards, whole, view("V6"), batch_size=2, seed=0)
    (batch,) = EvalLoader(shards, whole, view("V5"), batch_size=99).batches()
    assert set(batch.example_B.tolist()) == set(range(5))


def test_shards_that_were_compressed_give_the_same_batches(
    tmp_path: Path, ingested: Make, recordings: list[Recording], shards: Shards
) -> None:
    ingested(tmp_path / "s", recordings, compression="zstd", rows_per_shard=50)
    cold = open_shards(tmp_path / "s")
    for a, b in zip(
        TrainLoader(shards, split(shards), view(), batch_size=9, seed=0).epoch(1),
        TrainLoader(cold, split(cold), view(), batch_size=9, seed=0).epoch(1),
        strict=True,
    ):
        assert torch.equal(a.signal_BLS, b.signal_BLS)


@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from([1, 2]))
@settings(max_examples=25)
def test_an_epoch_of_more_steps_goes_through_the_split_again_in_another_order(
    shards: Shards, steps: int, size: int, world_size: int
) -> None:
    data = split(shards, list(range(9)))
    seen, size = view("II"), max(size, world_size)

    def batches(steps_per_epoch: int | None, rank: int = 0, ranks: int = 1) -> list[Batch]:
        loader = TrainLoader(
            shards, data, seen, batch_size=size, seed=3,
            steps_per_epoch=steps_per_epoch, rank=rank, world_size=ranks,
        )  # fmt: skip
        return list(loader.epoch(2))

    longer, once = batches(steps), batches(None)
    assert len(longer) == steps
    for one, other in zip(longer, once, strict=False):
        assert torch.equal(one.signal_BLS, other.signal_BLS)
    of_a_pass = len(once)
    for first in range(0, steps, of_a_pass):
        shown = joined(longer[first : first + of_a_pass])[2].tolist()
        assert len(set(shown)) == len(shown)
    ranks = [batches(steps, rank, world_size) for rank in range(world_size)]
    for step in range(steps):
        together = joined([of_rank[step] for of_rank in ranks])
        assert torch.equal(together[2], longer[step].example_B)
