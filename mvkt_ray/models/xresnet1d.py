"""One-dimensional XResNets: the thin ones of the PTB-XL benchmark and the wide ones of MVKT-ECG.

An XResNet (He et al., "Bag of Tricks for Image Classification with Convolutional Neural Networks",
CVPR 2019, arXiv 1812.01187) is a ResNet with three small convolutions as its stem, the stride of a
bottleneck on its middle convolution, and an average pooling before the 1x1 convolution of a
shortcut that halves the length.

- thin: Strodthoff et al., "Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL",
  2020, arXiv 2004.13701: every stage is 64 wide, kernels of 5.
- wide: Qin et al., "MVKT-ECG", 2023, as in the authors' code: stages of 64, 128, 256 and 512,
  kernels of 3.

Weights: He normal for every convolution; the last batch normalisation of each residual path
starts at zero, so that every block starts as its shortcut.

Shapes: B batch, F channels, T time steps; `BF1T` is an image of height 1.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from mvkt_ray.models.layers import average_pool, convolution, max_pool
from mvkt_ray.models.network import Backbone

BLOCKS_PER_STAGE = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
BOTTLENECK_EXPANSION = {18: 1, 34: 1, 50: 4, 101: 4}


@dataclass(frozen=True, kw_only=True, slots=True)
class XResNetShape:
    """Widths and kernels of one flavour."""

    stem_widths: tuple[int, ...]
    stage_widths: tuple[int, ...]
    kernel_size: int


THIN = XResNetShape(stem_widths=(32, 32, 64), stage_widths=(64, 64, 64, 64), kernel_size=5)
WIDE = XResNetShape(stem_widths=(32, 64, 64), stage_widths=(64, 128, 256, 512), kernel_size=3)


def thin_xresnet1d(n_leads: int, *, depth: int) -> Backbone:
    """Build the backbone of the benchmark's `xresnet1d<depth>`."""
    return _xresnet1d(n_leads, depth, THIN)


def wide_xresnet1d(n_leads: int, *, depth: int) -> Backbone:
    """Build the backbone of the authors' `xresnet<depth>`."""
    return _xresnet1d(n_leads, depth, WIDE)


class XResBlock(nn.Module):
    """A basic (expansion 1) or bottleneck (expansion 4) residual block."""

    def __init__(
        self, n_in: int, width: int, *, expansion: int, stride: int, kernel_size: int
    ) -> None:
        super().__init__()
        n_out = width * expansion
        if expansion == 1:
            layers = [
                *_conv_norm(n_in, width, kernel_size, stride=stride),
                nn.ReLU(inplace=True),
                *_conv_norm(width, n_out, kernel_size, starts_at_zero=True),
            ]
        else:
            layers = [
                *_conv_norm(n_in, width, 1),
                nn.ReLU(inplace=True),
                *_conv_norm(width, width, kernel_size, stride=stride),
                nn.ReLU(inplace=True),
                *_conv_norm(width, n_out, 1, starts_at_zero=True),
            ]
        self.residual = nn.Sequential(*layers)
        self.shortcut = nn.Sequential()
        if stride != 1:
            # ceil_mode: a strided convolution keeps the last odd sample, so must its shortcut.
            self.shortcut.append(average_pool(stride))
        if n_in != n_out:
            self.shortcut.extend(_conv_norm(n_in, n_out, 1))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features_BF1T: Tensor) -> Tensor:
        """Return the activated sum of both paths, as `BF1T`; T is halved where the stride is 2."""
        return self.activation(self.residual(features_BF1T) + self.shortcut(features_BF1T))


def _xresnet1d(n_leads: int, depth: int, shape: XResNetShape) -> Backbone:
    expansion = BOTTLENECK_EXPANSION[depth]
    layers: list[nn.Module] = []
    n_channels = n_leads
    for position, width in enumerate(shape.stem_widths):
        # Three small kernels, of which the first halves the length, in place of one large one.
        stride = 2 if position == 0 else 1
        layers += [
            *_conv_norm(n_channels, width, shape.kernel_size, stride=stride),
            nn.ReLU(inplace=True),
        ]
        n_channels = width
    layers.append(max_pool(3, stride=2))

    stages = zip(shape.stage_widths, BLOCKS_PER_STAGE[depth], strict=True)
    for stage, (width, n_blocks) in enumerate(stages):
        for position in range(n_blocks):
            # The first stage keeps the length: the stem has divided it by 4.
            stride = 2 if stage > 0 and position == 0 else 1
            layers.append(
                XResBlock(
                    n_channels,
                    width,
                    expansion=expansion,
                    stride=stride,
                    kernel_size=shape.kernel_size,
                )
            )
            n_channels = width * expansion
    return Backbone(*layers, n_channels=n_channels)


def _conv_norm(
    n_in: int, n_out: int, kernel_size: int, *, stride: int = 1, starts_at_zero: bool = False
) -> list[nn.Module]:
    conv = convolution(n_in, n_out, kernel_size, stride=stride)
    norm = nn.BatchNorm2d(n_out)
    if starts_at_zero:
        nn.init.zeros_(norm.weight)
    return [conv, norm]
