"""Ingest loses nothing, repeats nothing, and gives the same bytes whatever happens on the way."""

import csv
import os
import pickle
import random
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from mvkt_ray.data.describe import describe_shards
from mvkt_ray.data.folds import hash_ids, patients_in_several_folds
from mvkt_ray.data.ingest.ingest_plan import list_jobs, plan_ingest
from mvkt_ray.data.ingest.ingest_shard import build_shard
from mvkt_ray.data.ingest.run_ingest import IngestProgress, ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.recording import Recording
from mvkt_ray.data.sampling_rate import resample
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources import open_source
from mvkt_ray.errors import ArtifactError, ConfigError, DataError, RecordingError
from mvkt_ray.storage.artifacts import read_manifest, verify_artifact
from mvkt_ray.storage.location import Location
from tests.patience import PATIENCE_S

T = TypeVar("T")
R = TypeVar("R")
Make = Callable[..., Any]
SMALL_SHARDS = IngestSettings(rows_per_shard=7)


def hashes(folder: Path) -> dict[str, str]:
    return {name: entry.sha256 for name, entry in read_manifest(folder).files.items()}


def shuffled_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """Run jobs in another order, after a trip through pickle, as a cluster does."""
    order = random.Random(1).sample(range(len(items)), len(items))
    function = pickle.loads(pickle.dumps(function))
    return iter([function(pickle.loads(pickle.dumps(items[index]))) for index in order])


def synthetic(n_recordings: int = 30) -> Any:
    return open_source("synthetic", "", {"n_recordings": n_recordings, "duration_s": 1.0})


def test_the_same_input_gives_the_same_bytes_in_any_order_of_jobs(tmp_path: Path) -> None:
    one = ingest(synthetic(), str(tmp_path / "one"), SMALL_SHARDS)
    two = ingest(synthetic(), str(tmp_path / "two"), SMALL_SHARDS, map_function=shuffled_map)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert one.fingerprint == two.fingerprint
    assert len(one.files) == 5 + 2
    verify_artifact(tmp_path / "two")
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        "manifest.json", "parts.parquet", "quarantine.parquet", "recordings",
    }  # fmt: skip


def test_what_is_there_already_is_not_made_again(tmp_path: Path) -> None:
    ingest(synthetic(), str(tmp_path / "s"), SMALL_SHARDS)
    written_at = (tmp_path / "s" / "manifest.json").stat().st_mtime_ns

    def no_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        raise AssertionError("a job was started")

    ingest(synthetic(), str(tmp_path / "s"), SMALL_SHARDS, map_function=no_map)
    assert (tmp_path / "s" / "manifest.json").stat().st_mtime_ns == written_at
    with pytest.raises(ArtifactError, match="another configuration or other inputs"):
        ingest(synthetic(31), str(tmp_path / "s"), SMALL_SHARDS)


@pytest.mark.parametrize("out", ["a_file", "a_file/shards", "a_file/deep/shards"])
def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "a_file").write_text("thesis")
    with pytest.raises(ArtifactError, match=r"Give .* folder"):
        ingest(synthetic(), str(tmp_path / out))
    assert (tmp_path / "a_file").read_text() == "thesis"
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".partial"]


def test_an_output_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "thesis.tex").write_text("x")
    with pytest.raises(ArtifactError, match=r"thesis\.tex"):
        ingest(synthetic(), str(tmp_path / "s"))
    assert (tmp_path / "s" / "thesis.tex").read_text() == "x"


def test_a_recording_more_in_the_source_is_another_shard_set(
    tmp_path: Path, list_source: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number) for number in range(9)]
    ingest(list_source(recordings[:8]), str(tmp_path / "s"))
    with pytest.raises(ArtifactError, match="other inputs"):
        ingest(list_source(recordings), str(tmp_path / "s"))


KILLED_AT_EACH_RENAME = """
import os, signal, sys
from mvkt_ray.storage.artifacts import read_manifest
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.sources import open_source

out = sys.argv[1]
rename = os.replace

def run(n_renames):
    count = 0
    def replace(source, target):
        nonlocal count
        count += 1
        if count > n_renames:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)
    os.replace = replace
    source = open_source("synthetic", "", {"n_recordings": 30, "duration_s": 1.0})
    ingest(source, out, IngestSettings(rows_per_shard=7), resume=True)

n_kills = 0
while True:
    child = os.fork()
    if child == 0:
        run(n_renames=n_kills)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        print(n_kills)
        sys.exit(os.WEXITSTATUS(status))
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert not os.path.exists(os.path.join(out, "manifest.json"))
    n_kills += 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills children that it forks")
def test_an_ingest_killed_again_and_again_ends_with_the_same_bytes(tmp_path: Path) -> None:
    """Attempt n is killed with SIGKILL at its n-th rename; the next one goes on with its files."""
    ingest(synthetic(), str(tmp_path / "calm"), SMALL_SHARDS)
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_RENAME, str(tmp_path / "killed")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 13
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "calm")
    left = [path.name for path in (tmp_path / "killed").rglob(".*")]
    assert left == []
    assert not (tmp_path / "killed.partial").exists()


def test_resume_keeps_the_shards_that_are_built_and_builds_a_damaged_one_again(
    tmp_path: Path, list_source: Make, make_recording: Make
) -> None:
    source = list_source([make_recording(number) for number in range(20)])

    def interrupted_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        yield function(items[0])
        yield function(items[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(source, str(tmp_path / "s"), SMALL_SHARDS, map_function=interrupted_map)
    with pytest.raises(ArtifactError, match="--resume"):
        ingest(source, str(tmp_path / "s"), SMALL_SHARDS)
    shard = tmp_path / "s.partial" / "recordings" / "shard-00001.arrow"
    written_at = shard.stat().st_mtime_ns
    summary = tmp_path / "s.partial" / ".work" / "summary-00000.json"
    summary.write_bytes(summary.read_bytes().replace(b'"n_rows": ', b'"n_rows": 1'))
    ingest(source, str(tmp_path / "s"), SMALL_SHARDS, resume=True)
    published = tmp_path / "s" / "recordings" / "shard-00001.arrow"
    assert published.stat().st_mtime_ns == written_at
    ingest(source, str(tmp_path / "whole"), SMALL_SHARDS)
    assert hashes(tmp_path / "s") == hashes(tmp_path / "whole")


def test_resume_with_other_settings_builds_anew(
    tmp_path: Path, list_source: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number) for number in range(20)]

    def interrupted_map(function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        yield from map(function, items)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ingest(
            list_source(recordings), str(tmp_path / "s"), IngestSettings(rows_per_shard=2),
            map_function=interrupted_map,
        )  # fmt: skip
    ingest(list_source(recordings), str(tmp_path / "s"), SMALL_SHARDS, resume=True)
    ingest(list_source(recordings), str(tmp_path / "fresh"), SMALL_SHARDS)
    assert hashes(tmp_path / "s") == hashes(tmp_path / "fresh")


def bad_recordings(make_recording: Make) -> dict[str, Recording]:
    """One of each kind that cannot be used, by reason."""
    flat = make_recording(1).signal_mv.copy()
    flat[4] = 0.25
    high = make_recording(2).signal_mv.copy()
    high[0, 3] = 32.768
    holes = make_recording(3).signal_mv.copy()
    holes[2, 2] = np.nan
    return {
        "flat_lead": make_recording(1, signal_mv=flat),
        "amplitude": make_recording(2, signal_mv=high),
        "nan": make_recording(3, signal_mv=holes),
        "missing_lead": make_recording(4, n_leads=11),
        "empty": make_recording(5, n_samples=0),
        "rate": make_recording(6, rate_hz=1e9),
    }


def test_what_cannot_be_used_is_in_quarantine_with_its_reason(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    bad = bad_recordings(make_recording)
    good = [make_recording(number) for number in range(10, 16)]
    shards: Shards = ingested(tmp_path / "s", [*good[:3], *bad.values(), *good[3:]])
    rows = shards.quarantine().to_pylist()
    assert {row["reason"]: row["record_id"] for row in rows} == {
        reason: recording.record_id for reason, recording in bad.items()
    }
    assert rows[0]["path"] == "memory/r001"
    assert "constant in aVL" in rows[0]["message"]
    assert "lacks V6" in next(row["message"] for row in rows if row["reason"] == "missing_lead")
    assert shards.record_ids().tolist() == [recording.record_id for recording in good]
    assert shards.manifest.counts["n_quarantined"] == len(bad)
    assert shards.manifest.details["quarantine"] == dict.fromkeys(sorted(bad), 1)
    with pytest.raises(DataError, match=r"'r001' is in quarantine \(flat_lead\)"):
        shards.row_of("r001")


@pytest.mark.parametrize("rate_hz", [1e-3, 0.09, 33_000, 1.1e5, 1e9, 1e300])
def test_a_rate_that_no_ecg_has_is_not_resampled(
    tmp_path: Path, ingested: Make, make_recording: Make, rate_hz: float
) -> None:
    recordings = [make_recording(1), make_recording(2, rate_hz=rate_hz)]
    shards: Shards = ingested(tmp_path / "s", recordings)
    assert shards.n_recordings == 1
    (row,) = shards.quarantine().to_pylist()
    assert (row["record_id"], row["reason"]) == ("r002", "rate")
    assert f"{rate_hz:g} Hz" in row["message"]


@pytest.mark.parametrize(
    "reason", ["flat_lead", "amplitude", "nan", "missing_lead", "empty", "rate"]
)
def test_strict_makes_the_first_unusable_recording_fatal(
    tmp_path: Path, list_source: Make, make_recording: Make, reason: str
) -> None:
    bad = bad_recordings(make_recording)[reason]
    source = list_source([make_recording(10), bad, make_recording(11)])
    with pytest.raises(DataError, match=rf"'{bad.record_id}' cannot be used \({reason}\)"):
        ingest(source, str(tmp_path / "s"), IngestSettings(strict=True))
    assert not (tmp_path / "s").exists()
    ingest(source, str(tmp_path / "s"), resume=True)
    with pytest.raises(DataError, match="1 recordings in quarantine"):
        ingest(source, str(tmp_path / "s"), IngestSettings(strict=True))


def test_strict_holds_for_shards_that_were_built_without_it(
    tmp_path: Path, list_source: Make, make_recording: Make
) -> None:
    source = list_source([make_recording(10), make_recording(4, n_leads=11)])
    out = Location.parse(tmp_path / "s")
    plan = plan_ingest(source, out, IngestSettings())
    (job,) = list_jobs(plan)
    assert len(build_shard(plan, job).quarantine) == 1
    strict = replace(plan, settings=IngestSettings(strict=True))
    with pytest.raises(DataError, match="missing_lead"):
        build_shard(strict, job)


def test_a_value_that_just_fits_is_kept_exactly(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    signal_mv = make_recording(0).signal_mv.copy()
    signal_mv[0, :2] = [32.767, -32.767]
    shards: Shards = ingested(tmp_path / "s", [make_recording(0, signal_mv=signal_mv)])
    assert shards.lead("I").values[0][:2].tolist() == [32767, -32767]


def test_flat_and_missing_leads_can_be_kept_and_are_marked(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    bad = bad_recordings(make_recording)
    recordings = [make_recording(10), bad["flat_lead"], bad["missing_lead"], make_recording(11)]
    shards: Shards = ingested(tmp_path / "s", recordings, flat_leads="keep", missing_leads="keep")
    assert shards.n_recordings == 4
    assert shards.column("flat_leads").to_pylist() == [[], ["aVL"], [], []]
    assert shards.column("V6").is_null().to_pylist() == [False, False, True, False]
    assert shards.has_all_leads().tolist() == [True, True, False, True]
    assert open_shards(tmp_path / "s", leads=["II"]).has_all_leads().all()
    assert shards.lead("V6").lengths().tolist() == [40, 40, 0, 40]
    assert shards.recording(2).leads == shards.leads[:11]


def test_recordings_without_a_stated_gain_or_rate_are_counted_or_refused(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [
        make_recording(1),
        make_recording(2, uncalibrated_leads=("I", "V6")),
        make_recording(3, rate_is_assumed=True),
        make_recording(4, uncalibrated_leads=("II",), rate_is_assumed=True),
    ]
    kept: Shards = ingested(tmp_path / "kept", recordings)
    assert kept.n_recordings == 4
    counts = kept.manifest.counts
    assert (counts["n_with_assumed_gain"], counts["n_with_assumed_rate"]) == (2, 2)
    said = describe_shards(kept)
    assert (said["with_assumed_gain"], said["with_assumed_rate"]) == (2, 2)
    refused: Shards = ingested(tmp_path / "refused", recordings, uncalibrated="quarantine")
    assert refused.record_ids().tolist() == ["r001"]
    messages = [row["message"] for row in refused.quarantine().to_pylist()]
    assert "no gain of I, V6" in messages[0]
    assert "no gain of II and no sampling rate" in messages[2]
    assert refused.manifest.details["quarantine"] == {"uncalibrated": 3}
    assert refused.manifest.counts["n_with_assumed_gain"] == 0
    one: Shards = ingested(tmp_path / "one", recordings[:2], leads=("V1",))
    assert one.manifest.counts["n_with_assumed_gain"] == 0


def test_a_recording_listed_twice_is_an_error(
    tmp_path: Path, list_source: Make, make_recording: Make
) -> None:
    source = list_source([make_recording(1), make_recording(2), make_recording(1)])
    with pytest.raises(DataError, match=r"lists the recording 'r001' 2 times"):
        ingest(source, str(tmp_path / "s"), IngestSettings(rows_per_shard=2))


def test_a_source_without_usable_recordings_is_an_error(
    tmp_path: Path, list_source: Make, make_recording: Make
) -> None:
    with pytest.raises(DataError, match="lists no recordings"):
        ingest(list_source([]), str(tmp_path / "s"))
    with pytest.raises(DataError, match=r"none of the 1 recordings.*lacks V6"):
        ingest(list_source([make_recording(1, n_leads=11)]), str(tmp_path / "s"))


def test_a_missing_source_folder_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    source = open_source("ptbxl", str(tmp_path / "nowhere"), {})
    with pytest.raises(DataError, match="nowhere"):
        ingest(source, str(tmp_path / "s"))
    assert not (tmp_path / "s.partial").exists()


def test_a_patient_in_two_folds_is_reported(
    tmp_path: Path, ingested: Make, make_recording: Make, caplog: pytest.LogCaptureFixture
) -> None:
    recordings = [make_recording(number, patient_id=f"p{number // 2}") for number in range(6)]
    shards: Shards = ingested(tmp_path / "s", recordings)
    assert shards.manifest.counts["n_patients_in_several_folds"] == 3
    assert shards.manifest.details["examples_of_patients_in_several_folds"] == ["p0", "p1", "p2"]
    assert "3 patients are in several folds of list, for example p0" in caplog.text


def test_folds_are_made_where_the_source_has_none(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(number, patient_id=f"p{number // 2}") for number in range(60)]
    for name, settings in (("a", {}), ("b", {"rows_per_shard": 7})):
        ingested(tmp_path / name, recordings, has_folds=False, n_folds=5, **settings)
    shards = open_shards(tmp_path / "a")
    folds = shards.folds()
    assert not len(patients_in_several_folds(hash_ids(shards.column("patient_id")), folds))
    assert Counter(folds.tolist()) == dict.fromkeys(range(1, 6), 12)
    np.testing.assert_array_equal(open_shards(tmp_path / "b").folds(), folds)
    labels = shards.labels(shards.tasks["ab"])
    per_fold = np.array([labels[folds == fold].sum(0) for fold in range(1, 6)])
    assert np.ptp(per_fold, axis=0).max() <= 4
    assert shards.manifest.details["folds_made_at_ingest"]
    np.testing.assert_allclose(shards.recording(7).signal_mv, recordings[7].signal_mv, atol=1e-6)


def test_progress_counts_every_recording(
    tmp_path: Path, list_source: Make, make_recording: Make
) -> None:
    seen: list[IngestProgress] = []
    recordings = [make_recording(number) for number in range(15)]
    recordings.append(make_recording(99, n_leads=11))
    ingest(list_source(recordings), str(tmp_path / "s"), SMALL_SHARDS, on_progress=seen.append)
    assert [progress.n_recordings_done for progress in seen] == [7, 14, 16]
    assert seen[-1].n_recordings == 16
    assert seen[-1].n_quarantined == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"leads": ("I", "V9")}, "leads must be some of"),
        ({"leads": ()}, "leads must be some of"),
        ({"rows_per_shard": 0}, "rows_per_shard must be at least 1, got 0"),
        ({"n_folds": 2}, "n_folds must be at least 3"),
        ({"n_folds": 32768}, "n_folds must be .* at most 32767; got 32768"),
        ({"seed": -1}, "seed must be 0 or above, got -1"),
        ({"sampling_rate_hz": 0}, "sampling_rate_hz must be from 1 to 32000, got 0"),
        ({"sampling_rate_hz": 1_000_000}, "from 1 to 32000, got 1000000"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        IngestSettings(**settings)


def test_a_recording_at_another_rate_is_stored_at_the_wanted_one(
    tmp_path: Path, ingested: Make, make_recording: Make
) -> None:
    recordings = [make_recording(1, rate_hz=500.0, n_samples=5000, signal_mv=None)]
    slow = np.tile(np.sin(np.arange(2570) / 257 * 2 * np.pi), (12, 1))
    recordings.append(make_recording(2, rate_hz=257.0, signal_mv=slow))
    shards: Shards = ingested(tmp_path / "s", recordings)
    assert shards.n_samples().tolist() == [1000, 1000]
    assert shards.manifest.details["source_rates_hz"] == {"257": 1, "500": 1}
    expected = np.sin(np.arange(1000) / 100 * 2 * np.pi)
    np.testing.assert_allclose(
        shards.recording(1).signal_mv[3][50:-50], expected[50:-50], atol=3e-3
    )


def test_reasons_of_the_source_reach_quarantine(
    tmp_path: Path, tiny_ptbxl: Path, write_tiny_ptbxl: Make
) -> None:
    folder = write_tiny_ptbxl(tmp_path / "ptbxl", n_recordings=12, n_at_500_hz=0)
    (folder / "records100" / "00000" / "00003_lr.dat").unlink()
    source = open_source("ptbxl", str(folder), {})
    manifest = ingest(source, str(tmp_path / "s"))
    with pytest.raises(RecordingError) as refused:
        source.read(list(source.references(100))[2])
    assert manifest.details["quarantine"] == {refused.value.reason: 1}
    assert manifest.counts["n_recordings"] == 11


def official_pairs(folder: Path) -> Iterator[tuple[Recording, Recording]]:
    """Yield recordings of which both the 100 Hz and the 500 Hz file are PTB-XL's own."""
    with (folder / "provenance.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    official = {
        row["ecg_id"] for row in rows if row["lr_how"].startswith("official") and row["hr_source"]
    }
    slow = open_source("ptbxl", str(folder), {"read_rate_hz": 100})
    fast = open_source("ptbxl", str(folder), {"read_rate_hz": 500})
    wanted = {ref.record_id: ref for ref in fast.references(500) if ref.record_id in official}
    for ref in slow.references(100):
        if ref.record_id in wanted:
            yield slow.read(ref), fast.read(wanted[ref.record_id])


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlation of each row."""
    a, b = (x - x.mean(-1, keepdims=True) for x in (a, b))
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def advanced(signal_mv: np.ndarray, seconds: float, rate_hz: float) -> np.ndarray:
    """Return the signal as it would be had each sample been taken so much later."""
    n = signal_mv.shape[-1]
    phase = np.exp(2j * np.pi * np.fft.rfftfreq(n, 1 / rate_hz) * seconds)
    return np.fft.irfft(np.fft.rfft(signal_mv) * phase, n)


def test_500_hz_files_resampled_are_the_official_100_hz_ones(shared_data: Path) -> None:
    """Lead by lead, at least 0.99, on what both files hold.

    In all of these recordings the 500 Hz file repeats one value through its last 0.1 s, where the
    official 100 Hz file goes on; these 0.2 s (with the filter's reach) are left out. And the
    official files take their samples 1.25 ms later, half a sample at 400 Hz: the phase of the
    cross-spectrum is a pure delay. So the first comparison, plain, is over all recordings, and
    the second, of each recording, is at the same instants.
    """
    pairs = list(official_pairs(shared_data / "ptbxl"))
    assert len(pairs) >= 100
    frozen = [np.ptp(fast.signal_mv[:, -46:], axis=1).max() for _, fast in pairs]
    assert max(frozen) == 0
    slow = np.stack([pair[0].signal_mv for pair in pairs]).astype(np.float64)
    found = np.stack([resample(pair[1].signal_mv, 500, 100) for pair in pairs]).astype(np.float64)
    inside = slice(20, 980)
    per_lead = correlations(
        slow[..., inside].transpose(1, 0, 2).reshape(12, -1),
        found[..., inside].transpose(1, 0, 2).reshape(12, -1),
    )
    assert per_lead.min() >= 0.99
    aligned = correlations(slow[..., inside], advanced(found, 1.25e-3, 100)[..., inside])
    assert aligned.min() >= 0.99
    assert np.median(aligned) >= 0.999


def test_real_recordings_are_all_ingested_or_in_quarantine(
    shared_data: Path, tmp_path: Path
) -> None:
    for name, folder, n_listed, n_quarantined in (
        ("cinc2021", "cinc2021", 249, 3),
        ("cpsc2018", "cpsc2018_original", 10, 0),
    ):
        source = open_source(name, str(shared_data / folder), {})
        manifest = ingest(source, str(tmp_path / name))
        assert manifest.counts["n_recordings"] == n_listed - n_quarantined
        assert manifest.counts["n_quarantined"] == n_quarantined
    shards = open_shards(tmp_path / "cinc2021")
    rows = {row["record_id"]: row["message"] for row in shards.quarantine().to_pylist()}
    assert set(rows) == {"JS11438", "JS20008", "JS45544"}
    assert rows["JS20008"].endswith("constant in V2, V4, V6")


def test_the_same_dataset_in_another_folder_gives_the_same_shards(
    tiny_ptbxl: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(tiny_ptbxl, moved)
    fingerprints = {
        ingest(open_source("ptbxl", str(folder), {}), str(tmp_path / name)).fingerprint
        for name, folder in (("here", tiny_ptbxl), ("there", moved))
    }
    assert len(fingerprints) == 1
