"""The epoch loop on a handful of signals in memory: same numbers again, whatever happens to it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mvkt_ray.config.recipes import Hyperparameters
from mvkt_ray.data.loader import Batch
from mvkt_ray.distill.objective import Objective
from mvkt_ray.errors import ArtifactError
from mvkt_ray.models.networks import build_network
from mvkt_ray.records import Decision, EpochMetrics, TrialState
from mvkt_ray.storage.location import Location
from mvkt_ray.training.checkpoint import Checkpoint, read_checkpoint
from mvkt_ray.training.course import Course, Outcome
from mvkt_ray.training.fit import fit
from mvkt_ray.training.gradients import add_gradients
from mvkt_ray.training.guidance import Lesson, with_mixup
from mvkt_ray.training.learner import Learner
from mvkt_ray.training.optimizers import Steering
from mvkt_ray.training.process import seeded
from mvkt_ray.training.ranks import Ranks
from mvkt_ray.training.validation import predict

N, C, D, BATCH, EPOCHS = 32, 3, 6, 8, 4
CPU = torch.device("cpu")
HYPERPARAMETERS = Hyperparameters(
    student="sepconv1d_tiny", dropout=0.3, n_negatives=5, projection_dim=4, batch_size=BATCH
)
"""With dropout and memory banks: all that remembers or draws."""

GENERATOR = torch.Generator().manual_seed(0)
LABELS = (torch.rand(N, C, generator=GENERATOR) < 0.4).float()
SIGNALS = torch.randn(N, 1, 64, generator=GENERATOR) + LABELS[:, :1, None]
TEACHER_LOGITS = torch.randn(N, C, generator=GENERATOR)
TEACHER_EMBEDDINGS = torch.randn(N, D, generator=GENERATOR)


class KilledError(Exception):
    """Stands for a process that dies."""


def lessons(epoch: int) -> Iterator[Lesson]:
    order = torch.randperm(N, generator=torch.Generator().manual_seed(epoch))
    for example in order.split(BATCH):
        yield Lesson(
            signal_BLS=SIGNALS[example],
            labels_BC=LABELS[example],
            example_B=example,
            teacher_logits_BC=TEACHER_LOGITS[example],
            teacher_embedding_BD=TEACHER_EMBEDDINGS[example],
        )


@dataclass(frozen=True)
class TwoWindows:
    """Every signal twice, the second time reversed in time."""

    signals: torch.Tensor = SIGNALS

    def batches(self) -> Iterator[Batch]:
        example = torch.arange(N)
        for signal in (self.signals, self.signals.flip(-1)):
            yield Batch(signal_BLS=signal, labels_BC=LABELS, example_B=example, crop_B=example)


COURSE = Course(
    lessons=lessons,
    steps_per_epoch=N // BATCH,
    examples_per_epoch=N,
    windows=TwoWindows(),
    val_labels_NC=LABELS.numpy(),
    classes=("A", "B", "C"),
    epochs=EPOCHS,
    steering=Steering.of(HYPERPARAMETERS),
    seed=7,
    recipe="this training",
)


def new_learner() -> Learner:
    with seeded(1):
        network = build_network("sepconv1d_tiny", 1, C, dropout=HYPERPARAMETERS.dropout)
    objective = Objective(
        hyperparameters=HYPERPARAMETERS,
        train_labels_NC=LABELS,
        student_dim=network.embedding_dim,
        teacher_dim=D,
        seed=2,
    )
    return Learner(network, objective, bf16=False)


def go_on(_metrics: EpochMetrics) -> Decision:
    return Decision.CONTINUE


def train(
    folder: Path,
    *,
    course: Course = COURSE,
    report: Callable[[EpochMetrics], Decision] = go_on,
) -> tuple[Outcome, Learner]:
    learner = new_learner()
    checkpoint = Location.parse(folder) / "checkpoint.pt"
    return fit(learner, course, checkpoint, report, device=CPU, ranks=Ranks()), learner


def read(folder: Path) -> Checkpoint:
    return Checkpoint.from_bytes((folder / "checkpoint.pt").read_bytes())


def numbers(outcome: Outcome) -> list[tuple[object, ...]]:
    """All of a history but the times."""
    return [
        (record.metrics.epoch, record.metrics.macro_auroc, dict(record.metrics.losses),
         dict(record.per_class_auroc))
        for record in outcome.history
    ]  # fmt: skip


def assert_same(one: tuple[Outcome, Learner], other: tuple[Outcome, Learner]) -> None:
    """Equal to the last bit: history, predictions, weights, banks and the negatives' generator."""
    assert numbers(one[0]) == numbers(other[0])
    assert one[0].predictions is not None
    assert other[0].predictions is not None
    assert np.array_equal(
        one[0].predictions.probabilities_NC, other[0].predictions.probabilities_NC
    )
    mine, theirs = one[1].state_dict(), other[1].state_dict()
    assert mine.keys() == theirs.keys()
    for name, value in mine.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, theirs[name]), name
        else:
            assert str(value) == str(theirs[name]), name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Learner]:
    return train(tmp_path_factory.mktemp("uninterrupted"))


def test_a_training_ends_complete_with_one_record_per_epoch(
    uninterrupted: tuple[Outcome, Learner],
) -> None:
    outcome, _ = uninterrupted
    assert outcome.state is TrialState.COMPLETE
    assert [record.metrics.epoch for record in outcome.history] == [1, 2, 3, 4]
    first, last = outcome.history[0].metrics, outcome.history[-1].metrics
    assert set(first.losses) == {"total", "label", "kd", "clt", "val_label"}
    assert first.n_examples == N
    assert last.losses["label"] < first.losses["label"]
    weighted = (
        HYPERPARAMETERS.label_weight * last.losses["label"]
        + HYPERPARAMETERS.kd_weight * last.losses["kd"]
        + HYPERPARAMETERS.clt_weight * last.losses["clt"]
    )
    assert last.losses["total"] == pytest.approx(weighted, rel=1e-6)


def test_the_same_training_again_gives_the_same_bits_whatever_ran_before(
    uninterrupted: tuple[Outcome, Learner], tmp_path: Path
) -> None:
    torch.manual_seed(123)
    torch.rand(5)
    assert_same(uninterrupted, train(tmp_path))


@settings(max_examples=20)
@given(n_examples=st.integers(1, 12), n_parts=st.integers(2, 15))
def test_parts_of_a_batch_have_the_gradient_of_the_whole(n_examples: int, n_parts: int) -> None:
    lesson = replace(next(lessons(1)), **first_of_each(n_examples))
    found = []
    for parts in (1, n_parts):
        learner = learner_without_coupling()
        terms = add_gradients(learner, learner.term_names, lesson, parts)
        assert terms.tolist()[1] > 0
        found.append([terms, *(weight.grad for weight in learner.parameters())])
    for whole, in_parts in zip(*found, strict=True):
        assert whole is not None
        torch.testing.assert_close(in_parts, whole, rtol=1e-4, atol=1e-6)


def first_of_each(n_examples: int) -> dict[str, torch.Tensor]:
    example = torch.arange(n_examples)
    return {
        "signal_BLS": SIGNALS[example],
        "labels_BC": LABELS[example],
        "example_B": example,
        "teacher_logits_BC": TEACHER_LOGITS[example],
        "teacher_embedding_BD": TEACHER_EMBEDDINGS[example],
    }


def learner_without_coupling() -> Learner:
    """Return one whose examples know nothing of each other: no batch normalisation, no banks."""
    with seeded(1):
        network = build_network("sepconv1d_tiny", 1, C, dropout=0.0)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, torch.nn.BatchNorm2d):
                setattr(module, name, torch.nn.Identity())
    objective = Objective(
        hyperparameters=replace(HYPERPARAMETERS, clt_weight=0.0),
        train_labels_NC=LABELS,
        student_dim=network.embedding_dim,
        teacher_dim=D,
        seed=2,
    )
    return Learner(network, objective, bf16=False)


def test_a_training_goes_on_with_other_parts_where_there_is_less_memory(tmp_path: Path) -> None:
    train(tmp_path, course=replace(COURSE, epochs=EPOCHS), report=prune_after(2))
    reported: list[int] = []

    def listen(metrics: EpochMetrics) -> Decision:
        reported.append(metrics.epoch)
        return Decision.CONTINUE

    outcome, _ = train(tmp_path, course=replace(COURSE, gradient_accumulation=4), report=listen)
    assert outcome.state is TrialState.COMPLETE
    assert reported == [1, 2, 3, 4]


def prune_after(epoch: int) -> Callable[[EpochMetrics], Decision]:
    return lambda metrics: Decision.PRUNE if metrics.epoch == epoch else Decision.CONTINUE


def test_training_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train(tmp_path, course=replace(COURSE, epochs=1))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("killed_in_epoch", range(1, EPOCHS + 1))
def test_killed_after_any_checkpoint_and_resumed_gives_the_same_bits(
    uninterrupted: tuple[Outcome, Learner], tmp_path: Path, killed_in_epoch: int
) -> None:
    def die(metrics: EpochMetrics) -> Decision:
        if metrics.epoch == killed_in_epoch:
            raise KilledError
        return Decision.CONTINUE

    with pytest.raises(KilledError):
        train(tmp_path, report=die)
    reported: list[int] = []

    def listen(metrics: EpochMetrics) -> Decision:
        reported.append(metrics.epoch)
        return Decision.CONTINUE

    assert_same(uninterrupted, train(tmp_path, report=listen))
    assert reported == [1, 2, 3, 4]


def test_killed_within_an_epoch_and_resumed_gives_the_same_bits(
    uninterrupted: tuple[Outcome, Learner], tmp_path: Path
) -> None:
    def dying_lessons(epoch: int) -> Iterator[Lesson]:
        for step, lesson in enumerate(lessons(epoch)):
            if (epoch, step) == (3, 2):
                raise KilledError
            yield lesson

    with pytest.raises(KilledError):
        train(tmp_path, course=replace(COURSE, lessons=dying_lessons))
    assert len(read(tmp_path).history) == 2
    assert_same(uninterrupted, train(tmp_path))


def test_an_epoch_is_reported_when_its_checkpoint_is_on_disk(tmp_path: Path) -> None:
    def look(metrics: EpochMetrics) -> Decision:
        assert read(tmp_path).history[-1].metrics == metrics
        return Decision.CONTINUE

    train(tmp_path, report=look)


def test_a_pruned_training_stops_there_and_again_when_its_report_is_replayed(
    tmp_path: Path,
) -> None:
    def prune_second(metrics: EpochMetrics) -> Decision:
        return Decision.PRUNE if metrics.epoch == 2 else Decision.CONTINUE

    pruned, _ = train(tmp_path, report=prune_second)
    assert pruned.state is TrialState.PRUNED
    assert len(pruned.history) == 2
    replayed, _ = train(tmp_path, report=prune_second)
    assert numbers(replayed) == numbers(pruned)
    assert replayed.state is TrialState.PRUNED


def test_a_replayed_prune_forgets_the_epochs_after_it(tmp_path: Path) -> None:
    train(tmp_path, course=replace(COURSE, epochs=3))
    outcome, _ = train(tmp_path, report=lambda _metrics: Decision.PRUNE)
    assert outcome.state is TrialState.PRUNED
    assert [record.metrics.epoch for record in outcome.history] == [1]


def test_a_loss_that_is_not_finite_diverges_and_keeps_the_good_checkpoint(tmp_path: Path) -> None:
    def poisoned(epoch: int) -> Iterator[Lesson]:
        for lesson in lessons(epoch):
            signal = lesson.signal_BLS * (torch.inf if epoch == 2 else 1.0)
            yield replace(lesson, signal_BLS=signal)

    outcome, _ = train(tmp_path, course=replace(COURSE, lessons=poisoned))
    assert outcome.state is TrialState.DIVERGED
    assert "epoch 2" in outcome.reason
    kept = read(tmp_path)
    assert len(kept.history) == 1
    weights = [value for value in kept.learner.values() if isinstance(value, torch.Tensor)]
    assert all(bool(weight.isfinite().all()) for weight in weights)


def test_predictions_that_are_not_finite_diverge_before_anything_is_written(
    tmp_path: Path,
) -> None:
    outcome, _ = train(tmp_path, course=replace(COURSE, windows=TwoWindows(SIGNALS * torch.nan)))
    assert outcome.state is TrialState.DIVERGED
    assert "predictions" in outcome.reason
    assert not (tmp_path / "checkpoint.pt").exists()


def test_the_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    train(tmp_path, course=replace(COURSE, epochs=1))
    with pytest.raises(ArtifactError, match="another training"):
        train(tmp_path, course=replace(COURSE, recipe="that training"))


def test_a_damaged_checkpoint_is_none_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    train(tmp_path, course=replace(COURSE, epochs=1))
    path = tmp_path / "checkpoint.pt"
    content = bytearray(path.read_bytes())
    # torch's own sums would not tell: a weight, or a moment, is another number.
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    outcome, _ = train(tmp_path)
    assert "checkpoint.pt is damaged" in caplog.text
    whole, _ = train(tmp_path / "elsewhere")
    assert [each.metrics.losses for each in outcome.history] == [
        each.metrics.losses for each in whole.history
    ]


def test_in_its_own_place_a_checkpoint_of_another_training_is_replaced() -> None:
    content = Checkpoint(recipe="that", learner={}, optimizer={}, schedule={}, epoch=1).to_bytes()
    here = Location("checkpoint.pt")
    assert read_checkpoint(content, here, "this", is_own_place=True) is None
    assert read_checkpoint(content, here, "that") is not None
    with pytest.raises(ArtifactError, match="another training"):
        read_checkpoint(content, here, "this")


AVERAGED = replace(COURSE, ema_decay=0.8)
MIXED = replace(COURSE, lessons=with_mixup(lessons, alpha=0.5, seed=3))


def test_averaged_weights_are_examined_and_kept_and_steer_nothing(
    uninterrupted: tuple[Outcome, Learner], tmp_path: Path
) -> None:
    outcome, learner = train(tmp_path, course=AVERAGED)
    plain, raw = uninterrupted
    kept = read(tmp_path)
    assert kept.average is not None
    for one, other in zip(outcome.history, plain.history, strict=True):
        trained = {"total", "label", "kd", "clt"}
        assert {n: one.metrics.losses[n] for n in trained} == {
            n: other.metrics.losses[n] for n in trained
        }
        assert one.metrics.losses["val_label"] != other.metrics.losses["val_label"]
    for name, value in learner.network.state_dict().items():
        assert torch.equal(value, kept.average["network"][name])
        assert torch.equal(raw.network.state_dict()[name], kept.learner[f"network.{name}"])
    assert outcome.predictions is not None
    again = predict(
        learner.network, TwoWindows(), LABELS.numpy(), device=CPU, bf16=False, ranks=Ranks()
    )
    assert np.array_equal(outcome.predictions.probabilities_NC, again.probabilities_NC)


@pytest.mark.parametrize("killed_in_epoch", range(1, EPOCHS + 1))
@pytest.mark.parametrize("course", [AVERAGED, MIXED], ids=["averaged", "mixed"])
def test_an_average_and_mixtures_go_on_with_the_same_bits(
    tmp_path: Path, killed_in_epoch: int, course: Course
) -> None:
    def die(metrics: EpochMetrics) -> Decision:
        if metrics.epoch == killed_in_epoch:
            raise KilledError
        return Decision.CONTINUE

    with pytest.raises(KilledError):
        train(tmp_path / "cut", course=course, report=die)
    cut = train(tmp_path / "cut", course=course)
    assert_same(cut, train(tmp_path / "whole", course=course))


def test_time_adds_up_over_attempts(tmp_path: Path) -> None:
    train(tmp_path, course=replace(COURSE, epochs=2))
    before = read(tmp_path)
    stretched = replace(before, wall_s=before.wall_s + 1000.0, cpu_s=before.cpu_s + 500.0)
    (tmp_path / "checkpoint.pt").write_bytes(stretched.to_bytes())
    outcome, _ = train(tmp_path, course=replace(COURSE, epochs=2))
    assert outcome.wall_s > stretched.wall_s
    assert outcome.cpu_s > stretched.cpu_s


def test_bf16_trains_with_losses_in_float32(tmp_path: Path) -> None:
    learner = new_learner()
    learner.bf16 = True
    dtypes: list[torch.dtype] = []
    learner.network.register_forward_hook(
        lambda _module, _inputs, output: dtypes.append(output[0].dtype)
    )
    learner.objective.register_forward_hook(
        lambda _module, _inputs, output: dtypes.append(output.total.dtype)
    )
    course = replace(COURSE, epochs=1)
    checkpoint = Location.parse(tmp_path) / "checkpoint.pt"
    outcome = fit(learner, course, checkpoint, go_on, device=CPU, ranks=Ranks())
    assert outcome.state is TrialState.COMPLETE
    assert dtypes[:2] == [torch.bfloat16, torch.float32]
    assert next(learner.network.parameters()).dtype == torch.float32


@pytest.mark.parametrize("chosen", [frozenset[int](), frozenset({2})])
def test_validated_after_some_epochs_only_their_numbers_are_the_same(
    uninterrupted: tuple[Outcome, Learner], tmp_path: Path, chosen: frozenset[int]
) -> None:
    some, learner = train(tmp_path, course=replace(COURSE, validated_epochs=chosen))
    every = uninterrupted[0].history
    assert [record.metrics.epoch for record in some.history] == list(range(1, EPOCHS + 1))
    for record, full in zip(some.history, every, strict=True):
        losses, scores = dict(full.metrics.losses), full.per_class_auroc
        if record.metrics.epoch not in {*chosen, EPOCHS}:
            losses.pop("val_label")
            assert (record.metrics.macro_auroc, record.metrics.validate_s) == (None, 0.0)
            scores = {}
        assert record.per_class_auroc == scores
        assert record.metrics.losses == losses
    assert some.last_validated == some.history[-1]
    assert_same((replace(some, history=every), learner), uninterrupted)


def test_between_validations_a_training_is_told_to_stop_and_goes_on_later(
    uninterrupted: tuple[Outcome, Learner], tmp_path: Path
) -> None:
    course = replace(COURSE, validated_epochs=frozenset({1}))
    told = {2: Decision.STOP}
    stopped, _ = train(
        tmp_path, course=course, report=lambda metrics: told.get(metrics.epoch, Decision.CONTINUE)
    )
    assert (stopped.state, stopped.epochs) == (TrialState.RUNNING, 2)
    assert stopped.last_validated == stopped.history[0]
    reported: list[tuple[int, float | None]] = []

    def listen(metrics: EpochMetrics) -> Decision:
        reported.append((metrics.epoch, metrics.macro_auroc))
        return Decision.CONTINUE

    outcome, learner = train(tmp_path, course=course, report=listen)
    every = uninterrupted[0].history
    scores = [record.metrics.macro_auroc for record in every]
    assert reported == [(1, scores[0]), (2, None), (3, None), (4, scores[3])]
    assert_same((replace(outcome, history=every), learner), uninterrupted)


def test_killed_between_validations_nothing_is_trained_twice(tmp_path: Path) -> None:
    course = replace(COURSE, validated_epochs=frozenset())
    trained: list[int] = []

    def dying(epoch: int) -> Iterator[Lesson]:
        if epoch == 3 and 3 not in trained:
            trained.append(3)
            raise RuntimeError("the process dies")
        trained.append(epoch)
        return lessons(epoch)

    with pytest.raises(RuntimeError, match="dies"):
        train(tmp_path / "cut", course=replace(course, lessons=dying))
    cut = train(tmp_path / "cut", course=replace(course, lessons=dying))
    assert trained == [1, 2, 3, *range(3, EPOCHS + 1)]
    assert_same(cut, train(tmp_path / "whole", course=course))
