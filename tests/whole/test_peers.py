"""The peers' benchmark: peers do the same work as ours, and a bench that was killed goes on."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import psutil
import pytest
import torch

from benchmarks.peers import bench, page
from benchmarks.peers.a_dataloader import DataLoaders, prepare
from benchmarks.peers.b_tensors import Tensors, read_scaled
from benchmarks.peers.bench import FIXED, OWN, Round
from benchmarks.peers.contenders import Contender
from benchmarks.peers.measuring import CommandFailedError, Usage, environment, measured
from benchmarks.peers.ours import configurations_of, study_of
from benchmarks.peers.plain_training import distillation_loss, evaluate, n_crops, windows_of
from benchmarks.peers.ptbxl_by_wfdb import CLASSES, read_signals, read_table
from benchmarks.peers.recipe import (
    BATCH_SIZE,
    CROP_SAMPLES,
    NETWORK,
    RANGES,
    Config,
    EndedTrial,
    Recipe,
    read_trials,
)
from mvkt_ray.config.study_file import study_from_mapping
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.loader import EvalLoader
from mvkt_ray.data.recording import LEADS
from mvkt_ray.data.shards import open_shards
from mvkt_ray.data.sources.ptbxl import PtbXl, scp_codes
from mvkt_ray.data.splits import open_training_splits
from mvkt_ray.data.views import View, fit_view
from mvkt_ray.distill.losses.multilabel_kd import multilabel_kd
from mvkt_ray.models.networks import build_network
from mvkt_ray.search.choosing.space import SearchSpace
from mvkt_ray.search.ledger.ledger_database import LedgerDatabase
from mvkt_ray.storage.location import Location
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.validation import predict
from tests.begun_study import begun_study

RECIPE = Recipe(
    ptbxl="",
    train_folds=(1, 2),
    val_folds=(8,),
    test_folds=(9,),
    leads=("I", "V5"),
    n_trials=5,
    epochs=3,
    teacher_epochs=4,
    seed=3,
    configurations=(),
)


def test_the_fixed_configurations_are_those_that_ours_trains() -> None:
    config = study_from_mapping(study_of(RECIPE, own_pruning=False), "the peers")
    space = SearchSpace.from_config(config, LEADS)
    study = begun_study(config, space, LedgerDatabase("sqlite://"), inputs={})
    dealt: list[Config] = []
    while trial := study.ask():
        hyperparameters = trial.hyperparameters
        dealt.append(
            {"lead": trial.condition.name} | {name: hyperparameters[name] for name in RANGES}
        )
        assert hyperparameters["student"] == NETWORK
        assert hyperparameters["batch_size"] == BATCH_SIZE
        assert hyperparameters["clt_weight"] == 0
    assert tuple(dealt) == configurations_of(RECIPE)


def test_peers_read_the_same_recordings_and_labels(shared_data: Path) -> None:
    ptbxl = str(shared_data / "ptbxl")
    source = PtbXl(location=ptbxl)
    task = source.tasks()["superdiagnostic"]
    assert task.classes == CLASSES
    refs = [ref for ref in source.references(100) if ref.metadata["fold"] in (1, 2)]
    labels = task.labels([list(scp_codes(ref)) for ref in refs])
    used = labels.sum(axis=1) > 0
    table, peers_labels = read_table(ptbxl, RECIPE.train_folds)
    assert [str(each) for each in table.index] == [
        ref.record_id for ref, is_used in zip(refs, used, strict=True) if is_used
    ]
    np.testing.assert_array_equal(peers_labels, labels[used])
    first = source.read(next(ref for ref, is_used in zip(refs, used, strict=True) if is_used))
    assert first.leads == LEADS
    (signal,) = read_signals(ptbxl, table.iloc[:1])
    np.testing.assert_allclose(signal, first.signal_mv, atol=1e-6)


def test_peers_see_the_same_crops_and_windows() -> None:
    view = View(
        leads=LEADS, crop_samples=250, grid_samples=50, stride_samples=125, mean_mv=0.0, std_mv=1.0
    )
    assert n_crops(1000) == view.n_crops(1000)
    signal = torch.arange(1000.0).expand(2, 12, 1000)
    starts = view.window_starts(np.arange(int(view.n_windows(1000))), 1000)
    windows = windows_of(signal)
    assert windows.shape == (2, len(starts), 12, CROP_SAMPLES)
    assert windows[0, :, 0, 0].tolist() == starts.tolist()


def test_the_peers_loss_has_the_gradient_of_ours() -> None:
    torch.manual_seed(0)
    labels, teacher = torch.rand(4, 5).round(), 3 * torch.randn(4, 5)
    logits = torch.randn(4, 5, requires_grad=True)
    config = {"kd_weight": 1.5, "distill_temperature": 3.0}
    (peers,) = torch.autograd.grad(distillation_loss(logits, labels, teacher, config), logits)
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, labels)
    (ours,) = torch.autograd.grad(bce + 1.5 * multilabel_kd(logits, teacher, 3.0), logits)
    torch.testing.assert_close(peers, ours)


def test_files_and_tensors_feed_the_same_recordings(shared_data: Path, tmp_path: Path) -> None:
    ptbxl = tmp_path / "ptbxl"
    ptbxl.mkdir()
    few_of(shared_data / "ptbxl", ptbxl)
    recipe = replace(RECIPE, ptbxl=str(ptbxl))
    prepare(recipe, tmp_path)
    files, tensors = DataLoaders(recipe, tmp_path), Tensors(read_scaled(recipe))
    assert files.steps_per_epoch == tensors.steps_per_epoch
    for (of_files, labels), (of_tensors, same) in zip(
        files.val_windows(), tensors.val_windows(), strict=True
    ):
        torch.testing.assert_close(of_files, of_tensors, atol=1e-4, rtol=1e-4)
        assert torch.equal(labels, same)
    for feed in (files, tensors):
        batches = list(feed.train_batches())
        assert len(batches) == feed.steps_per_epoch
        assert batches[0][0].shape[1:] == (12, CROP_SAMPLES)


def test_a_network_scores_the_same_by_ours_and_by_the_peers(
    shared_data: Path, tmp_path: Path
) -> None:
    few_of(shared_data / "ptbxl", tmp_path)
    recipe = replace(RECIPE, ptbxl=str(tmp_path))
    config = study_from_mapping(study_of(recipe, own_pruning=False), "the peers")
    source = PtbXl(location=str(tmp_path))
    out = Location.parse(tmp_path) / "shards"
    ingest(source, out, IngestSettings(sampling_rate_hz=config.data.sampling_rate_hz))
    shards = open_shards(out)
    splits = open_training_splits(shards, shards.tasks[config.data.task], config.data.folds)
    view = fit_view(shards, splits.train.rows, shards.leads, config.view).with_leads(["V5"])
    network = build_network(NETWORK, 1, len(CLASSES))
    ours = predict(
        network,
        EvalLoader(shards, splits.val, view, batch_size=BATCH_SIZE),
        splits.val.labels,
        device=torch.device("cpu"),
        bf16=False,
        ranks=Ranks.here(),
    )
    per_class = ours.per_class_auroc(CLASSES)
    v5 = LEADS.index("V5")
    peers = evaluate(network, Tensors(read_scaled(recipe)), slice(v5, v5 + 1))
    assert peers == pytest.approx(fmean(per_class.values()), abs=1e-6)


def few_of(ptbxl: Path, folder: Path) -> None:
    """Write a table of every twentieth recording of each fold; link to the files."""
    lines = (ptbxl / "ptbxl_database.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    column = lines[0].rstrip().split(",").index("strat_fold") - len(lines[0].split(","))
    folds: dict[str, list[str]] = {}
    for line in lines[1:]:
        folds.setdefault(line.rsplit(",", -column)[1], []).append(line)
    kept = [line for each in folds.values() for line in each[::20]]
    (folder / "ptbxl_database.csv").write_text(lines[0] + "".join(kept), encoding="utf-8")
    for name in ("scp_statements.csv", "records100"):
        (folder / name).symlink_to(ptbxl / name)


WRITES_TRIALS = """
import json, pathlib, sys
with open({ran!r}, "a") as file:
    file.write({name!r} + " ")
trial = {{"config": {{"lead": "I"}}, "score": 0.5, "epochs": 3, "ended_s": 0.0}}
pathlib.Path("trials.json").write_text(json.dumps([trial]))
sys.exit({code})
"""


def fake(name: str, ran: Path, code: int = 0) -> Contender:
    script = WRITES_TRIALS.format(ran=str(ran), name=name, code=code)
    return Contender(
        name=name,
        what="a script",
        command=lambda _recipe, _out: [sys.executable, "-c", script],
        trials=lambda out: read_trials(out / "trials.json"),
    )


def test_a_bench_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    out, ran = tmp_path / "out", tmp_path / "ran"
    contenders = [fake("A", ran), fake("B", ran)]

    def run(recipe: Recipe = RECIPE) -> list[str]:
        ran.write_text("")
        for _ in bench.run_missing(out, recipe, contenders, searches=[FIXED], n_rounds=2):
            pass
        return ran.read_text().split()

    assert run() == ["A", "B", "B", "A"], "each begins a round"
    assert run() == []
    (out / "fixed-B-1.json").unlink()
    (out / "running").mkdir()
    (out / "running" / "trials.json").write_text("half a f")
    assert run() == ["B"]
    assert [each.file_name for each in bench.read_rounds(out)] == [
        "fixed-A-0.json",
        "fixed-A-1.json",
        "fixed-B-0.json",
        "fixed-B-1.json",
    ]
    with pytest.raises(bench.OtherBenchError, match="another recipe"):
        run(replace(RECIPE, epochs=4))


def test_a_contender_that_fails_leaves_its_output_and_no_round(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    contenders = [fake("A", ran, code=3), fake("B", ran)]
    came = list(bench.run_missing(tmp_path, RECIPE, contenders, searches=[FIXED], n_rounds=1))
    assert isinstance(came[0][1], CommandFailedError)
    assert (tmp_path / "failed-fixed-A-0.txt").exists()
    assert [each.contender for each in bench.read_rounds(tmp_path)] == ["B"]


ORPHAN = """
import os
read, write = os.pipe()
if os.fork():
    os.read(read, 1)  # the child lives
else:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.write(write, b"1")
    with open("orphan", "wb") as file:
        file.write(bytes(5_000_000))
"""


def test_what_orphans_of_a_command_write_is_counted(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ORPHAN]
    usage = measured(command, environment(bench.ROOT, str(tmp_path)), tmp_path)
    assert usage.wchar >= 5_000_000
    assert (tmp_path / "orphan").stat().st_size == 5_000_000


SLEEPS = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"


def test_a_contender_ends_with_its_bench(tmp_path: Path) -> None:
    reaper = [sys.executable, "-m", "benchmarks.peers.reaper", "usage.json"]
    with subprocess.Popen(
        [*reaper, sys.executable, "-c", SLEEPS],
        env=environment(bench.ROOT, str(tmp_path)),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    assert not psutil.pid_exists(pid)


def made_up(name: str, scores: list[float | None], *, search: str = FIXED, wall_s: float) -> Round:
    usage = Usage(
        started_s=0.0, wall_s=wall_s, cpu_s=wall_s, peak_bytes=2**30, rchar=0, wchar=0,
        read_bytes=0, write_bytes=0,
    )  # fmt: skip
    trials = tuple(
        EndedTrial(config={"lead": "I", "kd_weight": float(n)}, score=score, epochs=3, ended_s=n)
        for n, score in enumerate(scores, start=1)
    )
    return Round(
        contender=name, search=search, number=0, recipe=RECIPE, usage=usage, trials=trials,
        load_before=0.1, machine={"cores": 2, "cpu": "some", "python": "3", "packages": {}},
    )  # fmt: skip


def row_of(text: str, name: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {name}:")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_says_void_where_scores_differ() -> None:
    rounds = [
        made_up("ours", [0.80, 0.81, 0.82, 0.83], wall_s=10),
        made_up("A", [0.801, 0.809, 0.82, 0.83], wall_s=25),
        made_up("B", [0.70, 0.71, 0.72, 0.73], wall_s=20),
        made_up("C", [0.80, 0.86, 0.78], wall_s=20),
    ]
    text = page.fixed_table(rounds)
    assert row_of(text, "A")[1:3] == ["25.0", "2.50"]
    assert row_of(text, "A")[-1] == "equal"
    assert row_of(text, "B")[-1] == "void: other scores"
    assert row_of(text, "C")[-1] == "no difference shown"
    fewer = [*rounds[:1], made_up("C", [0.80, 0.81, 0.82, 0.83, 0.84], wall_s=20)]
    assert "1 of 5 trials" in row_of(page.fixed_table(fewer), "C")[-1]


def test_the_page_counts_the_time_to_the_score() -> None:
    rounds = [
        made_up("ours", [0.80, None, 0.90], search=OWN, wall_s=10),
        made_up("A", [0.70, 0.95], search=OWN, wall_s=25),
        made_up("B", [None, 0.85], search=OWN, wall_s=25),
    ]
    text = page.page(rounds, target=0.9)
    assert row_of(text, "ours")[1:3] == ["3.0", "1.00"]
    assert row_of(text, "A")[1:3] == ["2.0", "0.67"]
    assert row_of(text, "B")[1] == "not reached"
    assert json.dumps(RECIPE.leads) not in text
