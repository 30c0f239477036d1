"""Label-wise embedding distillation of L2D: matches the teacher's distances up to a scale.

Yang et al., "Multi-Label Knowledge Distillation", ICCV 2023, arXiv 2308.06453: beside MKD's
divergence, the distances between recordings that share a disease (class-aware), and between the
diseases of one recording (instance-aware), match the teacher's. Distances need no common dimension
of the embeddings.

Shapes: B this rank's batch, J the joint batch of all ranks, C classes, P pairs of classes, S and D
embedding of the student and of the teacher, X either.
"""

import torch
from torch import Tensor
from torch.nn import functional

from mvkt_ray.distill.precision import in_full_precision
from mvkt_ray.models.collectives import gather_rows, rows_per_rank

_SMALLEST_SQUARE = 1e-12
"""Least squared distance, since the gradient of the root is infinite at 0."""


@in_full_precision
def label_embedding(
    student_embedding_BS: Tensor,
    student_classifier_CS: Tensor,
    teacher_embedding_BD: Tensor,
    teacher_classifier_CD: Tensor,
    positive_BC: Tensor,
) -> Tensor:
    """Return the loss of the joint batch of all ranks, the same number on every rank.

    With e_k(x) = w_k * f(x), by element, f(x) the pooled embedding and w_k the classifier's row of
    class k (its sum over elements and a bias are the logit), h the Huber loss at 1, and d~ a
    distance divided by the mean distance of the pairs that it is compared among:

        mean_k mean_{i != j, both have k} h(d~(e_k(x_i), e_k(x_j)) of student, of teacher)
      + mean_{i, k < l, i has both} h(d~(e_k(x_i), e_l(x_i)) of student, of teacher)

    Departures from the paper. Its networks have a decoder with an embedding per class; ours have
    one pooled embedding, which only the classifier's row makes specific to a class. Its class-aware
    distances are divided by their mean within a class, as here; its instance-aware ones by their
    mean within a recording, so that a recording with two diseases has one distance, always 1, and
    no gradient: here they are divided by their mean over the joint batch. It sums over classes and
    recordings, with a weight for each part; here both parts are means, of equal weight.

    A class with fewer than two recordings, and a recording with one disease, have no part in the
    loss, which is 0 if no pair is left. Gradients reach the student's embedding and classifier.

    Args:
        student_embedding_BS: pooled, before dropout.
        student_classifier_CS: its weights.
        teacher_embedding_BD: no gradient flows into it.
        teacher_classifier_CD: its weights, likewise.
        positive_BC: bool: whether a recording has a class.
    """
    rows = rows_per_rank(len(positive_BC), positive_BC.device)
    student_JS = gather_rows(student_embedding_BS, rows)
    teacher_JD = gather_rows(teacher_embedding_BD.detach(), rows)
    # As floats, since rows are gathered by a sum over ranks.
    positive_JC = gather_rows(positive_BC.float(), rows) > 0.5
    teacher_CD = teacher_classifier_CD.detach()

    pairs_CJJ = _pairs_of_recordings(positive_JC)
    within_C = _mean_error(
        _between_recordings(student_JS, student_classifier_CS),
        _between_recordings(teacher_JD, teacher_CD),
        pairs_CJJ,
        dims=(1, 2),
    )
    n_compared = pairs_CJJ.flatten(1).any(dim=1).sum()

    first_P, second_P = torch.triu_indices(
        len(teacher_CD), len(teacher_CD), offset=1, device=positive_JC.device
    )
    across = _mean_error(
        _between_classes(student_JS, student_classifier_CS, first_P, second_P),
        _between_classes(teacher_JD, teacher_CD, first_P, second_P),
        positive_JC[:, first_P] & positive_JC[:, second_P],
        dims=(0, 1),
    )
    return within_C.sum() / n_compared.clamp_min(1) + across


def _pairs_of_recordings(positive_JC: Tensor) -> Tensor:
    """Return bool `[C, J, J]`: pairs of different recordings that both have a class."""
    both_CJJ = positive_JC.T[:, :, None] & positive_JC.T[:, None, :]
    return both_CJJ & ~torch.eye(len(positive_JC), dtype=torch.bool, device=positive_JC.device)


def _between_recordings(embedding_JX: Tensor, classifier_CX: Tensor) -> Tensor:
    """Return `[C, J, J]`: distances of recordings in each class's embedding."""
    # Centred: distances are unchanged, and the difference of squares loses less precision.
    centred_JX = embedding_JX - embedding_JX.mean(dim=0)
    weighted_CJX = centred_JX * classifier_CX[:, None, :]
    square_CJ = weighted_CJX.square().sum(dim=2)
    product_CJJ = weighted_CJX @ weighted_CJX.transpose(1, 2)
    return _root(square_CJ[:, :, None] + square_CJ[:, None, :] - 2 * product_CJJ)


def _between_classes(
    embedding_JX: Tensor, classifier_CX: Tensor, first_P: Tensor, second_P: Tensor
) -> Tensor:
    """Return `[J, P]`: distances of each pair of classes' embeddings for each recording."""
    # |w_k f - w_l f|^2 = sum f^2 (w_k - w_l)^2: one matrix product instead of [J, P, X].
    difference_PX = classifier_CX[first_P] - classifier_CX[second_P]
    return _root(embedding_JX.square() @ difference_PX.square().T)


def _root(square: Tensor) -> Tensor:
    return square.clamp_min(_SMALLEST_SQUARE).sqrt()


def _mean_error(
    student: Tensor, teacher: Tensor, counted: Tensor, *, dims: tuple[int, ...]
) -> Tensor:
    """Return the mean Huber loss of the counted distances over some dimensions; 0 without any."""
    n_counted = counted.sum(dim=dims, keepdim=True).clamp_min(1)
    smallest = _SMALLEST_SQUARE**0.5

    def by_their_mean(distance: Tensor) -> Tensor:
        mean = (distance * counted).sum(dim=dims, keepdim=True) / n_counted
        return distance / mean.clamp_min(smallest)

    error = functional.smooth_l1_loss(
        by_their_mean(student), by_their_mean(teacher), reduction="none"
    )
    return ((error * counted).sum(dim=dims, keepdim=True) / n_counted).squeeze(dims)
