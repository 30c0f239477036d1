"""The ResNet of Wang et al. as the PTB-XL benchmark trains it.

Wang, Yan and Oates, "Time Series Classification from Scratch with Deep Neural Networks: A Strong
Baseline", IJCNN 2017, arXiv 1611.06455; sizes as in Strodthoff et al. 2020 (arXiv 2004.13701): a
stem of kernel 7 without stride or pooling, three blocks of kernels 5 and 3, all 128 wide, the
second and third at half the length of the one before.

Weights: He normal for every convolution, batch normalisations at one.

Shapes: B batch, F channels, T time steps; `BF1T` is an image of height 1.
"""

from torch import Tensor, nn

from mvkt_ray.models.layers import convolution
from mvkt_ray.models.network import Backbone

WIDTH = 128
STEM_KERNEL_SIZE = 7
BLOCK_KERNEL_SIZES = (5, 3)
BLOCK_STRIDES = (1, 2, 2)


def resnet1d_wang(n_leads: int) -> Backbone:
    """Build the backbone of the benchmark's `resnet1d_wang`."""
    blocks = [WangBlock(WIDTH, stride=stride) for stride in BLOCK_STRIDES]
    return Backbone(
        convolution(n_leads, WIDTH, STEM_KERNEL_SIZE),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(inplace=True),
        *blocks,
        n_channels=WIDTH,
    )


class WangBlock(nn.Module):
    """Two convolutions around a shortcut, which is projected where the length is halved."""

    def __init__(self, width: int, *, stride: int) -> None:
        super().__init__()
        first, second = BLOCK_KERNEL_SIZES
        self.residual = nn.Sequential(
            convolution(width, width, first, stride=stride),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            convolution(width, width, second),
            nn.BatchNorm2d(width),
        )
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.extend(
                [convolution(width, width, 1, stride=stride), nn.BatchNorm2d(width)]
            )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features_BF1T: Tensor) -> Tensor:
        """Return the activated sum of both paths, as `BF1T`; T is halved where the stride is 2."""
        return self.activation(self.residual(features_BF1T) + self.shortcut(features_BF1T))
