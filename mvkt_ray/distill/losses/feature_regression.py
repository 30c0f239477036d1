"""A hint on embeddings: regression of the teacher's embedding on the student's by a linear map.

Romero, Ballas, Kahou, Chassang, Gatta and Bengio, "FitNets: Hints for Thin Deep Nets", ICLR 2015,
arXiv 1412.6550, eq. 3, with pooled embeddings instead of feature maps: networks of one lead and of
twelve leads correspond in the last layer only.

Shapes: B this rank's batch, J the joint batch of all ranks, S embedding of the student, D
embedding of the teacher.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from mvkt_ray.distill.precision import in_full_precision
from mvkt_ray.distill.standardised import standardised
from mvkt_ray.models.collectives import rows_per_rank, share_of_mean


@in_full_precision
def feature_regression(mapped_embedding_BD: Tensor, teacher_embedding_BD: Tensor) -> Tensor:
    """Return this rank's share, a scalar in 0 to 4, of the joint batch's mean squared error.

    With s and t the mapped and the teacher's embedding, every dimension of each with mean 0 and
    variance 1 over the joint batch:

        1/(J D) sum_j sum_d (s[j, d] - t[j, d])^2

    which is 2 (1 - correlation) per dimension. Standardised, because channels differ in scale by
    orders of magnitude, and the largest would dominate a sum of raw squares. Not divided by the
    embeddings' length, because embeddings behind a ReLU all point in nearly one direction, so that
    cosines hardly distinguish recordings. The student's is standardised, too, so that a map of any
    initial scale has useful gradients from the first step. FitNets trains by its hint first and
    drops it; here it is one term of the sum throughout.

    Dimensions that are constant in the teacher's batch have loss 0. The mean over ranks is the
    loss of the joint batch.

    Args:
        mapped_embedding_BD: of the student, mapped to the teacher's dimension.
        teacher_embedding_BD: no gradient flows into it.
    """
    rows = rows_per_rank(len(mapped_embedding_BD), mapped_embedding_BD.device)
    teacher_BD = standardised(teacher_embedding_BD.detach(), rows)
    student_BD = standardised(mapped_embedding_BD, rows)
    # 2 t (t - s) has the mean of (s - t)^2 where both have variance 1, and 0 where t is constant.
    return share_of_mean(rows) * (teacher_BD * (teacher_BD - student_BD)).mean() * 2


class FeatureRegression(nn.Module):
    """`feature_regression` with the trained map, a matrix: standardising removes any bias.

    Weights are uniform in +-1/sqrt(S), torch's default for a linear layer, from `generator` alone.
    """

    def __init__(self, student_dim: int, teacher_dim: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(teacher_dim, student_dim))
        bound = student_dim**-0.5
        nn.init.uniform_(self.weight, -bound, bound, generator=generator)

    def forward(self, student_embedding_BS: Tensor, teacher_embedding_BD: Tensor) -> Tensor:
        """Return this rank's share of the loss, a scalar; see `feature_regression`."""
        mapped_BD = functional.linear(student_embedding_BS, self.weight)
        return feature_regression(mapped_BD, teacher_embedding_BD)
