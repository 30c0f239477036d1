"""Students for devices: depthwise separable convolutions, of two sizes or of any.

Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision
Applications", 2017, arXiv 1704.04861, in one dimension: each block filters every channel on its
own (depthwise, a long kernel is cheap there) and then mixes the channels (pointwise). Blocks that
keep their shape have a shortcut.

Weights: He normal for every convolution; the last batch normalisation of a block with a shortcut
starts at zero, so that it starts as its shortcut.

Shapes: B batch, F channels, T time steps; `BF1T` is an image of height 1.
"""

from torch import Tensor, nn

from mvkt_ray.models.layers import convolution
from mvkt_ray.models.network import Backbone

STEM_KERNEL_SIZE = 7
DEPTHWISE_KERNEL_SIZE = 9
"""90 ms at 100 Hz on the input, longer in every later stage: about a QRS complex."""
STAGE_RATIOS = (1, 2, 3, 4)
"""Channels of the stages in widths of the first: those of `sepconv1d_small`."""
FIRST_WIDTH, BLOCKS_PER_STAGE = 32, 2
"""Default size of `sepconv1d`: `sepconv1d_small`."""


def sized_sepconv1d(n_leads: int, *, width: int, depth: int) -> Backbone:
    """Build the member of the family that has a width and a depth.

    Args:
        n_leads: leads in the signal.
        width: channels of the first stage; those of the later ones follow by `STAGE_RATIOS`.
        depth: blocks with a shortcut in each stage, from 0.
    """
    widths = tuple(ratio * width for ratio in STAGE_RATIOS)
    return sepconv1d(n_leads, widths=widths, blocks_per_stage=depth)


def sepconv1d(n_leads: int, *, widths: tuple[int, ...], blocks_per_stage: int) -> Backbone:
    """Build a stack of separable stages.

    Args:
        n_leads: leads in the signal.
        widths: channels of the stages; each stage halves the length.
        blocks_per_stage: blocks with a shortcut that follow the first block of a stage, which
            changes width and length.
    """
    layers: list[nn.Module] = [
        convolution(n_leads, widths[0], STEM_KERNEL_SIZE, stride=2),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    n_channels = widths[0]
    for width in widths[1:]:
        layers += [*_separable(n_channels, width, stride=2), nn.ReLU(inplace=True)]
        layers += [SeparableBlock(width) for _ in range(blocks_per_stage)]
        n_channels = width
    return Backbone(*layers, n_channels=n_channels)


class SeparableBlock(nn.Module):
    """A separable convolution around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(*_separable(width, width, stride=1, starts_at_zero=True))
        self.shortcut = nn.Sequential()
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features_BF1T: Tensor) -> Tensor:
        """Return the activated sum of both paths, `BF1T` as the argument."""
        return self.activation(self.residual(features_BF1T) + self.shortcut(features_BF1T))


def _separable(
    n_in: int, n_out: int, *, stride: int, starts_at_zero: bool = False
) -> list[nn.Module]:
    norm = nn.BatchNorm2d(n_out)
    if starts_at_zero:
        nn.init.zeros_(norm.weight)
    return [
        convolution(n_in, n_in, DEPTHWISE_KERNEL_SIZE, stride=stride, groups=n_in),
        nn.BatchNorm2d(n_in),
        nn.ReLU(inplace=True),
        convolution(n_in, n_out, 1),
        norm,
    ]
