"""What lessons hold that are mixed; which teacher they are from is in test_student."""

from collections.abc import Iterator
from dataclasses import replace

import torch

from mvkt_ray.training.guidance import Lesson, with_mixup

B, C, D = 6, 2, 3


def _lessons(epoch: int) -> Iterator[Lesson]:
    for step in range(4):
        generator = torch.Generator().manual_seed(10 * epoch + step)
        yield Lesson(
            signal_BLS=torch.eye(B)[:, None],
            labels_BC=(torch.rand(B, C, generator=generator) < 0.5).float(),
            example_B=torch.arange(B),
            teacher_logits_BC=4 * torch.randn(B, C, generator=generator),
            teacher_embedding_BD=torch.randn(B, D, generator=generator),
        )


def _alone(epoch: int) -> Iterator[Lesson]:
    for lesson in _lessons(epoch):
        yield Lesson(
            signal_BLS=lesson.signal_BLS, labels_BC=lesson.labels_BC, example_B=lesson.example_B
        )


def test_signal_labels_and_what_the_teacher_says_are_mixed_alike() -> None:
    for plain, mixed in zip(_lessons(1), with_mixup(_lessons, alpha=1.0, seed=0)(1), strict=True):
        assert plain.teacher_logits_BC is not None
        assert plain.teacher_embedding_BD is not None
        assert mixed.teacher_logits_BC is not None
        assert mixed.teacher_embedding_BD is not None
        # Signals are axes: a mixture of them shows how much of which recordings is in it.
        weights_BB = mixed.signal_BLS[:, 0]
        assert ((weights_BB > 0).sum(dim=1) <= 2).all()
        torch.testing.assert_close(weights_BB.sum(dim=1), torch.ones(B))
        torch.testing.assert_close(weights_BB.sum(dim=0), torch.ones(B))
        for before, after in (
            (plain.labels_BC, mixed.labels_BC),
            (plain.teacher_embedding_BD, mixed.teacher_embedding_BD),
            (torch.sigmoid(plain.teacher_logits_BC), torch.sigmoid(mixed.teacher_logits_BC)),
        ):
            torch.testing.assert_close(after, weights_BB @ before)


def test_an_epoch_is_mixed_the_same_again_and_another_one_otherwise() -> None:
    lessons = with_mixup(_lessons, alpha=0.5, seed=7)
    first, again = list(lessons(2)), list(lessons(2))
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.signal_BLS, other.signal_BLS)
        assert torch.equal(one.labels_BC, other.labels_BC)
    reseeded = with_mixup(_lessons, alpha=0.5, seed=8)(2)
    assert not torch.equal(first[0].signal_BLS, next(reseeded).signal_BLS)


def test_a_student_alone_is_given_the_same_mixtures() -> None:
    pairs = zip(
        with_mixup(_alone, alpha=0.5, seed=7)(1),
        with_mixup(_lessons, alpha=0.5, seed=7)(1),
        strict=True,
    )
    for alone, taught in pairs:
        assert alone.teacher_logits_BC is None
        assert alone.teacher_embedding_BD is None
        assert torch.equal(alone.signal_BLS, taught.signal_BLS)
        assert torch.equal(alone.labels_BC, taught.labels_BC)


def test_a_mixture_has_a_label_where_both_recordings_have_one() -> None:
    def few_labels(epoch: int) -> Iterator[Lesson]:
        for lesson in _lessons(epoch):
            labels_BC = lesson.labels_BC.clone()
            labels_BC[::2] = torch.nan
            yield replace(lesson, labels_BC=labels_BC)

    for lesson in with_mixup(few_labels, alpha=1.0, seed=0)(1):
        weights_BB = lesson.signal_BLS[:, 0]
        is_known_B = ~lesson.labels_BC.isnan().any(dim=1)
        assert is_known_B.tolist() == [False, True] * 3
        for row in range(B):
            assert (weights_BB[row, 1 - row % 2 :: 2] == 0).all()
        assert lesson.teacher_logits_BC is not None
        assert lesson.teacher_logits_BC.isfinite().all()
