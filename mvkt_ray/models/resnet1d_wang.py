"""The ResNet of Wang et al. as the PTB-XL benchmark trains it.

Wang, Yan and Oates, "Time Series Classification from Scratch with Deep Neural Networks: A Strong
Baseline", IJCNN 2017, arXiv 1611.06455; sizes as in Strodthoff et al. 2020 (arXiv 2004.13701): a
stem of kernel 7 without stride or pooling, three blocks of kernels 5 and 3, all 128 wide, the
second and third at half the length of the one before.

Weights: He normal for every convolution, batch normalisations at one.
"""

from torch import Tensor, nn

from mvkt_ray.models.network import Backbone

WIDTH = 128
STEM_KERNEL_SIZE = 7
BLOCK_KERNEL_SIZES = (5, 3)
BLOCK_STRIDES = (1, 2, 2)


def resnet1d_wang(n_leads: int) -> Backbone:
    """Build the backbone of the benchmark's `resnet1d_wang`."""
    blocks = [WangBlock(WIDTH, stride=stride) for stride in BLOCK_STRIDES]
    return Backbone(
        _conv(n_leads, WIDTH, STEM_KERNEL_SIZE),
        nn.BatchNorm1d(WIDTH),
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
            _conv(width, width, first, stride=stride),
            nn.BatchNorm1d(width),
            nn.ReLU(inplace=True),
            _conv(width, width, second),
            nn.BatchNorm1d(width),
        )
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut.extend([_conv(width, width, 1, stride=stride), nn.BatchNorm1d(width)])
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features_BFT: Tensor) -> Tensor:
        """Return the activated sum of both paths."""
        return self.activation(self.residual(features_BFT) + self.shortcut(features_BFT))


def _conv(n_in: int, n_out: int, kernel_size: int, *, stride: int = 1) -> nn.Conv1d:
    conv = nn.Conv1d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight)
    return conv
