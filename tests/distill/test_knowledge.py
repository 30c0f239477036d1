"""The teacher's knowledge: what it holds, what it costs, and what it may be used with."""

import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mvkt_ray.config.data_config import FoldsConfig, ViewConfig
from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.data.ingest.run_ingest import ingest
from mvkt_ray.data.ingest.shard_writer import IngestSettings
from mvkt_ray.data.loader import GridLoader, TrainLoader
from mvkt_ray.data.shards import Shards, open_shards
from mvkt_ray.data.sources.synthetic import Synthetic
from mvkt_ray.data.splits import Split, open_training_splits
from mvkt_ray.data.views import View, fit_view
from mvkt_ray.distill.knowledge import (
    CROPS_FILE,
    RECORDINGS_FILE,
    Knowledge,
    knowledge_size_bytes,
    open_knowledge,
)
from mvkt_ray.distill.knowledge_parts import Part, ask_teacher, crops_of, parts_of
from mvkt_ray.distill.knowledge_writer import write_knowledge
from mvkt_ray.distill.objective import Objective
from mvkt_ray.errors import DataError, StaleArtifactError
from mvkt_ray.models.network import Network
from mvkt_ray.models.networks import build_network
from mvkt_ray.storage.artifacts import verify_artifact


@dataclass(frozen=True, kw_only=True)
class Made:
    """Knowledge and all that it was made from."""

    folder: Path
    shards: Shards
    train: Split
    val: Split
    view: View
    teacher: Network
    knowledge: Knowledge

    def write(self, out: Path, teacher: Network | None = None, **options: Any) -> None:
        ask = partial(ask_teacher, teacher or self.teacher, self.shards, self.view, batch_size=64)
        write_knowledge(
            str(out),
            ask=ask,
            shards=self.shards,
            split=self.train,
            view=self.view,
            teacher_fingerprint="the teacher",
            embedding_dim=self.teacher.embedding_dim,
            **options,
        )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("knowledge")
    source = Synthetic(n_recordings=60, duration_s=4.0)
    ingest(source, str(folder / "shards"), IngestSettings(sampling_rate_hz=50, rows_per_shard=25))
    shards = open_shards(str(folder / "shards"))
    folds = FoldsConfig(train=(1, 2, 3, 4, 5, 6), val=(7, 8), test=(9, 10))
    splits = open_training_splits(shards, next(iter(shards.tasks.values())), folds)
    lengths = ViewConfig(crop_s=1.0, grid_s=0.2, stride_s=0.5)
    view = fit_view(shards, splits.train.rows, shards.leads, lengths)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        teacher = build_network("sepconv1d_tiny", 12, len(splits.train.classes)).eval()
    empty = Knowledge.__new__(Knowledge)
    made = Made(
        folder=folder,
        shards=shards,
        train=splits.train,
        val=splits.val,
        view=view,
        teacher=teacher,
        knowledge=empty,
    )
    made.write(folder / "knowledge")
    return replace(made, knowledge=open_knowledge(str(folder / "knowledge"), shards=shards))


def loader_of(made: Made, view: View) -> TrainLoader:
    return TrainLoader(made.shards, made.train, view, batch_size=8, seed=3)


def test_a_gather_is_what_the_teacher_says_of_these_crops(made: Made) -> None:
    for batch in loader_of(made, made.view).epoch(1):
        with torch.no_grad():
            logits, embedding = made.teacher(batch.signal_BLS)
        known_logits, known_embedding = made.knowledge.gather(batch.example_B, batch.crop_B)
        assert known_logits.dtype == known_embedding.dtype == torch.float32
        # Half a unit in the last of float16's eleven digits, and the batch's own rounding.
        torch.testing.assert_close(known_logits, logits, rtol=6e-4, atol=1e-4)
        torch.testing.assert_close(known_embedding, embedding, rtol=6e-4, atol=1e-4)


@pytest.mark.parametrize("clt_loss", ["crd", "infonce"])
def test_cached_and_online_knowledge_give_the_same_gradients(made: Made, clt_loss: str) -> None:
    def gradients(*, cached: bool) -> list[Tensor]:
        student, objective = new_student(made, clt_loss)
        student_view = made.view.with_leads(("II",))
        pairs = zip(
            loader_of(made, student_view).epoch(1), loader_of(made, made.view).epoch(1), strict=True
        )
        for batch, teacher_batch in pairs:
            if cached:
                taught = made.knowledge.gather(batch.example_B, batch.crop_B)
            else:
                with torch.no_grad():
                    taught = made.teacher(teacher_batch.signal_BLS)
            logits, embedding = student(batch.signal_BLS)
            terms = objective(logits, embedding, batch.labels_BC, batch.example_B, *taught)
            terms.total.backward()
        modules: list[nn.Module] = [student, objective]
        return [p.grad for module in modules for p in module.parameters() if p.grad is not None]

    cached, online = gradients(cached=True), gradients(cached=False)
    assert len(cached) == len(online) > 0
    largest = max(float(torch.linalg.norm(other)) for other in online)
    # Sums that cancel almost have the rounding of what cancels in them.
    rounding = torch.finfo(torch.float32).eps * largest
    for one, other in zip(cached, online, strict=True):
        # Single entries may cancel; float16 has 11 bits.
        assert torch.linalg.norm(one - other) <= 2e-3 * torch.linalg.norm(other) + rounding


def new_student(made: Made, clt_loss: str) -> tuple[Network, Objective]:
    hyperparameters = Hyperparameters(
        n_negatives=8, projection_dim=8, clt_loss=clt_loss, clt_weight=0.5  # type: ignore[arg-type]
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        student = build_network("sepconv1d_tiny", 1, len(made.train.classes))
    objective = Objective(
        hyperparameters=hyperparameters,
        train_labels_NC=torch.from_numpy(made.train.labels),
        student_dim=student.embedding_dim,
        teacher_dim=made.teacher.embedding_dim,
        seed=0,
    )
    return student, objective


def test_student_and_teacher_see_the_same_stretch_of_signal(made: Made) -> None:
    student_view = made.view.with_leads(("V2",))
    pairs = zip(
        loader_of(made, student_view).epoch(4), loader_of(made, made.view).epoch(4), strict=True
    )
    position = made.view.leads.index("V2")
    for batch, teacher_batch in pairs:
        assert torch.equal(batch.example_B, teacher_batch.example_B)
        assert torch.equal(batch.crop_B, teacher_batch.crop_B)
        assert torch.equal(batch.signal_BLS[:, 0], teacher_batch.signal_BLS[:, position])


def test_the_written_size_is_predicted_within_two_percent(made: Made) -> None:
    grid = GridLoader(made.shards, made.train.rows, made.view, batch_size=8)
    predicted = knowledge_size_bytes(
        grid.n_crops_total, len(made.train.classes), made.teacher.embedding_dim
    )
    with_ids = knowledge_size_bytes(
        grid.n_crops_total,
        len(made.train.classes),
        made.teacher.embedding_dim,
        n_recordings=len(made.train),
    )
    manifest = verify_artifact(str(made.folder / "knowledge"))
    written = sum(entry.size_bytes for entry in manifest.files.values())
    assert written == pytest.approx(with_ids, rel=0.02)
    assert written == pytest.approx(predicted, rel=0.02)


def test_any_arrow_reader_finds_records_and_their_crops(made: Made) -> None:
    folder = made.folder / "knowledge"
    recordings = pa.ipc.open_file(str(folder / RECORDINGS_FILE)).read_all()
    crops = pa.ipc.open_file(str(folder / CROPS_FILE)).read_all()
    assert recordings["record_id"].to_pylist() == list(made.train.record_ids)
    assert sum(recordings["n_crops"].to_pylist()) == crops.num_rows
    row = recordings["first_crop"][3].as_py() + 2
    logits, embedding = made.knowledge.gather(torch.tensor([3]), torch.tensor([2]))
    assert crops["logits"][row].as_py() == pytest.approx(logits[0].tolist())
    assert crops["embedding"][row].as_py() == pytest.approx(embedding[0].tolist())


def test_knowledge_is_mapped_and_not_read(made: Made) -> None:
    for table in (made.knowledge.logits_RC, made.knowledge.embedding_RD):
        assert not table.flags.writeable
        assert not table.flags.owndata


def test_writing_leaves_no_scratch_behind_and_gives_the_same_bytes(
    made: Made, tmp_path: Path
) -> None:
    made.write(tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").iterdir()) == [
        CROPS_FILE,
        "manifest.json",
        RECORDINGS_FILE,
    ]
    for name in (CROPS_FILE, RECORDINGS_FILE):
        one, other = (folder / name for folder in (tmp_path / "again", made.folder / "knowledge"))
        assert one.read_bytes() == other.read_bytes()


def test_a_disk_without_room_is_an_error_and_does_not_end_the_process(
    made: Made, tmp_path: Path
) -> None:
    """The tables are mapped: a page that cannot be had when it is written to is a SIGBUS."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, limits[1]))
        with pytest.raises(OSError, match=r"File too large for [\d,]+ bytes: .*knowledge"):
            made.write(tmp_path / "knowledge")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    made.write(tmp_path / "knowledge")


def test_what_a_killed_writer_left_is_begun_again(made: Made, tmp_path: Path) -> None:
    class DyingTeacher(Network):
        calls = 0

        def forward(self, signal_BLS: Tensor) -> tuple[Tensor, Tensor]:
            self.calls += 1
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().forward(signal_BLS)

    dying = DyingTeacher(made.teacher.backbone, len(made.train.classes))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        made.write(tmp_path / "knowledge", dying)
    assert not (tmp_path / "knowledge").exists()
    made.write(tmp_path / "knowledge")
    again = open_knowledge(str(tmp_path / "knowledge"), shards=made.shards)
    assert np.array_equal(again.logits_RC, made.knowledge.logits_RC)


@pytest.mark.parametrize("per_recording", [False, True])
def test_the_teacher_is_asked_once_about_every_crop(
    made: Made, tmp_path: Path, per_recording: bool
) -> None:
    seen: list[bytes] = []

    class CountedTeacher(Network):
        def forward(self, signal_BLS: Tensor) -> tuple[Tensor, Tensor]:
            seen.extend(signal_LS.numpy().tobytes() for signal_LS in signal_BLS)
            return super().forward(signal_BLS)

    counted = CountedTeacher(made.teacher.backbone, len(made.train.classes)).eval()  # type: ignore[arg-type]
    made.write(tmp_path / "knowledge", counted, per_recording=per_recording, crops_per_part=50)
    n_crops = int(crops_of(made.shards, made.train, made.view).sum())
    assert len(seen) == len(set(seen)) == n_crops


def test_a_teacher_that_overflows_float16_is_refused(made: Made, tmp_path: Path) -> None:
    class LoudTeacher(Network):
        def forward(self, signal_BLS: Tensor) -> tuple[Tensor, Tensor]:
            logits_BC, embedding_BD = super().forward(signal_BLS)
            return logits_BC, embedding_BD * 1e9

    loud = LoudTeacher(made.teacher.backbone, len(made.train.classes))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="float16"):
        made.write(tmp_path / "knowledge", loud)


def test_knowledge_is_refused_with_all_that_it_was_not_made_from(made: Made) -> None:
    location = str(made.folder / "knowledge")
    open_knowledge(
        location,
        shards=made.shards,
        teacher="the teacher",
        split=made.train,
        view=made.view.with_leads(("I",)),
    )
    with pytest.raises(StaleArtifactError, match="another teac"):
        open_knowledge(location, shards=made.shards, teacher="another teacher")
    with pytest.raises(StaleArtifactError, match="training split"):
        open_knowledge(location, shards=made.shards, split=made.val)
    with pytest.raises(StaleArtifactError, match="view"):
        open_knowledge(location, shards=made.shards, view=replace(made.view, mean_mv=1.0))


def means_in_a_loop(made: Made) -> tuple[Tensor, Tensor]:
    """What the teacher says now of every crop of each recording, one recording at a time."""
    grid = GridLoader(made.shards, made.train.rows, made.view, batch_size=1)
    logits: dict[int, list[Tensor]] = {}
    embeddings: dict[int, list[Tensor]] = {}
    for batch in grid.batches():
        with torch.no_grad():
            logits_BC, embedding_BD = made.teacher(batch.signal_BLS)
        logits.setdefault(int(batch.example_B), []).append(logits_BC[0])
        embeddings.setdefault(int(batch.example_B), []).append(embedding_BD[0])
    rows = [
        [sum(said, torch.zeros_like(said[0])) / len(said) for said in of.values()]
        for of in (logits, embeddings)
    ]
    return torch.stack(rows[0]), torch.stack(rows[1])


def test_knowledge_of_recordings_is_the_mean_over_their_crops_cached_or_written_as_such(
    made: Made, tmp_path: Path
) -> None:
    made.write(tmp_path / "recordings", per_recording=True)
    written = open_knowledge(str(tmp_path / "recordings"), shards=made.shards, per_recording=True)
    reduced = open_knowledge(str(made.folder / "knowledge"), shards=made.shards, per_recording=True)
    example, crop = torch.tensor([5, 0, 7, 5]), torch.tensor([0, 3, 1, 2])
    expected = [table[example] for table in means_in_a_loop(made)]
    for knowledge in (written, reduced):
        assert knowledge.embedding_dim == made.teacher.embedding_dim
        for said, wanted in zip(knowledge.gather(example, crop), expected, strict=True):
            torch.testing.assert_close(said, wanted, rtol=1e-3, atol=2e-4)
    assert len(written.logits_RC) == len(made.train)


def test_mean_logits_are_what_the_classifier_makes_of_the_mean_embedding(made: Made) -> None:
    knowledge = made.knowledge.of_recordings()
    everyone = torch.arange(len(made.train))
    logits, embedding = knowledge.gather(everyone, torch.zeros_like(everyone))
    with torch.no_grad():
        torch.testing.assert_close(made.teacher.classifier(embedding), logits, rtol=0, atol=5e-3)


def test_knowledge_of_recordings_is_as_small_as_predicted_and_has_no_crops_to_give(
    made: Made, tmp_path: Path
) -> None:
    made.write(tmp_path / "recordings", per_recording=True)
    manifest = verify_artifact(tmp_path / "recordings")
    predicted = knowledge_size_bytes(
        len(made.train),
        len(made.train.classes),
        made.teacher.embedding_dim,
        n_recordings=len(made.train),
    )
    written = sum(entry.size_bytes for entry in manifest.files.values())
    assert written == pytest.approx(predicted, rel=0.1)
    with pytest.raises(StaleArtifactError, match="not for single crops"):
        open_knowledge(str(tmp_path / "recordings"), shards=made.shards)
    crops = verify_artifact(made.folder / "knowledge")
    assert crops.fingerprint != manifest.fingerprint


def last_first(ask: Callable[[Part], Any], parts: Sequence[Part]) -> Iterator[Any]:
    """Answer in the order that is least like the parts' own."""
    return map(ask, reversed(parts))


@pytest.mark.parametrize("per_recording", [False, True])
def test_answers_may_come_in_any_order_and_give_the_same_bytes(
    made: Made, tmp_path: Path, per_recording: bool
) -> None:
    done: list[tuple[int, int]] = []
    options: dict[str, Any] = {"per_recording": per_recording, "crops_per_part": 100}
    made.write(tmp_path / "forth", **options, on_progress=lambda *now: done.append(now))
    made.write(tmp_path / "back", **options, map_function=last_first)
    for name in (CROPS_FILE, RECORDINGS_FILE):
        one, other = (tmp_path / folder / name for folder in ("forth", "back"))
        assert one.read_bytes() == other.read_bytes()
    total = int(crops_of(made.shards, made.train, made.view).sum())
    assert len(done) > 3
    assert done == sorted(done)
    assert done[-1] == (total, total)


@given(n_crops=st.lists(st.integers(1, 40), min_size=1, max_size=50), per_part=st.integers(1, 100))
def test_parts_are_whole_recordings_in_their_order_and_none_is_much_larger_than_asked(
    made: Made, n_crops: list[int], per_part: int
) -> None:
    n_crops_N = np.array(n_crops)
    rows = np.arange(3, 3 + len(n_crops))
    split = replace(made.train, rows=rows)
    parts = parts_of(split, n_crops_N, crops_per_part=per_part)
    assert np.concatenate([part.rows for part in parts]).tolist() == rows.tolist()
    assert [part.first_row for part in parts] == [
        int(n_crops_N[: part.rows[0] - 3].sum()) for part in parts
    ]
    for part in parts:
        assert n_crops_N[part.rows - 3].sum() < per_part + max(n_crops)


def test_a_part_maps_only_the_shards_that_hold_it(made: Made) -> None:
    rows = made.train.rows
    near, inside = made.shards.holding(rows[-3:])
    assert near.n_recordings < made.shards.n_recordings
    assert near.record_ids()[inside].tolist() == made.train.record_ids[-3:].tolist()
    backwards, inside = made.shards.holding(rows[::-1])
    assert backwards.record_ids()[inside].tolist() == made.train.record_ids[::-1].tolist()
