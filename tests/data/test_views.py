"""A view is a value: crops, windows and one scale, the same for teacher and student."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from mvkt_ray.config.data_config import ViewConfig
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.views import View, fit_view
from mvkt_ray.errors import ConfigError, DataError

Make = Callable[..., Any]
CONFIG = ViewConfig(crop_s=0.25, grid_s=0.05, stride_s=0.12)


def view(**changes: Any) -> View:
    known = {
        "leads": LEADS, "crop_samples": 250, "grid_samples": 50, "stride_samples": 125,
        "mean_mv": 0.1, "std_mv": 0.2,
    }  # fmt: skip
    return View(**{**known, **changes})


def test_the_benchmark_view_has_16_crops_and_7_windows_in_10_seconds() -> None:
    assert view().n_crops(1000) == 16
    assert view().n_windows(1000) == 7
    seven = np.arange(7)
    assert view().window_starts(seven, 1000).tolist() == [0, 125, 250, 375, 500, 625, 750]
    assert view().window_starts(seven, 999).tolist() == [0, 125, 250, 375, 500, 625, 749]
    assert view().window_starts(seven[:2], np.array([100, 999])).tolist() == [0, 125]


@settings(max_examples=200)
@given(st.integers(1, 2000), st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_crops_fit_and_windows_reach_the_end(n_samples: int, crop: int, grid: int, stride: int):
    seen = view(crop_samples=crop, grid_samples=grid, stride_samples=stride)
    last_crop = (int(seen.n_crops(n_samples)) - 1) * grid
    assert last_crop + crop <= max(n_samples, crop)
    assert last_crop + grid + crop > n_samples
    starts = seen.window_starts(np.arange(int(seen.n_windows(n_samples))), n_samples)
    assert starts[0] == 0
    assert starts[-1] + crop == max(n_samples, crop)
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= stride).all()
    both = np.array([n_samples, n_samples + 7])
    assert seen.n_windows(both)[0] == len(starts)


def test_a_view_of_a_view_is_the_composed_view() -> None:
    assert view().with_leads(["V5", "I", "II"]).with_leads(["II"]) == view(leads=("II",))
    assert view().with_leads(["V5", "I"]).leads == ("I", "V5")
    with pytest.raises(DataError, match=r"no lead 'V5'"):
        view(leads=("II",)).with_leads(["V5"])


def test_a_view_survives_json_and_can_be_a_key() -> None:
    original = view(mean_mv=0.1 + 0.2, std_mv=1 / 3)
    again = View.from_json(json.loads(json.dumps(original.to_json())))
    assert again == original
    assert {original: 1}[again] == 1


def test_the_scale_is_that_of_the_training_recordings_over_all_leads(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number, n_samples=30 + number) for number in range(20)]
    shards = ingested(tmp_path / "s", recordings, rows_per_shard=6)
    rows = np.array([0, 1, 5, 6, 7, 13, 19])
    fitted = fit_view(shards, rows, ["II"], CONFIG)
    samples = np.concatenate([recordings[row].signal_mv.ravel() for row in rows])
    scaler: Any = StandardScaler().fit(samples.astype(np.float64).round(3)[:, None])
    assert fitted.mean_mv == pytest.approx(scaler.mean_[0], abs=1e-12)
    assert fitted.std_mv == pytest.approx(scaler.scale_[0], rel=1e-12)
    assert fitted.leads == ("II",)
    assert fit_view(shards, rows, [" avr", "v1"], CONFIG).leads == ("aVR", "V1")
    assert (fitted.crop_samples, fitted.grid_samples, fitted.stride_samples) == (25, 5, 12)
    everything = fit_view(shards, rows, (), CONFIG)
    assert everything.leads == LEADS
    assert everything.with_leads(["II"]) == fitted


def test_other_recordings_do_not_touch_the_scale(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number) for number in range(8)]
    loud = [
        make_recording(number, signal_mv=recordings[number].signal_mv * 9) if number % 2 else one
        for number, one in enumerate(recordings)
    ]
    rows = np.array([0, 2, 4, 6])
    first = fit_view(ingested(tmp_path / "a", recordings), rows, (), CONFIG)
    second = fit_view(ingested(tmp_path / "b", loud, rows_per_shard=3), rows[::-1], (), CONFIG)
    assert first == second


def test_no_signal_is_read_for_the_scale(
    tmp_path: Path, ingested: Make, make_recording: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = ingested(tmp_path / "s", [make_recording(number) for number in range(4)])
    there = fit_view(shards, np.arange(4), (), CONFIG)
    monkeypatch.setattr(Shards, "lead", lambda *_: pytest.fail("a lead was read"))
    assert fit_view(open_shards(tmp_path / "s", leads=["V5"]), np.arange(4), (), CONFIG) == replace(
        there, leads=("V5",)
    )


def test_what_makes_no_view_is_refused(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    ingested(tmp_path / "s", [make_recording(0, signal_mv=np.zeros((12, 40)))], flat_leads="keep")
    shards = open_shards(tmp_path / "s")
    with pytest.raises(DataError, match="constant"):
        fit_view(shards, np.array([0]), (), CONFIG)
    with pytest.raises(DataError, match="no lead 'V9'"):
        fit_view(shards, np.array([0]), ["V9"], CONFIG)
    with pytest.raises(ConfigError, match=r"view.grid_s is 0.001 s, less than one sample at 100"):
        fit_view(shards, np.array([0]), (), ViewConfig(grid_s=0.001))
