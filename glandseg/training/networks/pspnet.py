"""PSPNet: a dilated encoder, pyramid pooling at bins 1, 2, 3 and 6, an auxiliary head (Zhao et al. 2017).

Why a pyramid: whether a bright lumen is gland or a tear depends on the tissue around it, far beyond the field
of a 3x3 head; averages over 1 to 36 cells bring that context to every pixel.
Why matrices in place of adaptive average pooling: ONNX has no such operator, and exporters fail where a side
of the map is no multiple of the bins, as 20 is of 3 and 6. Pooling is separable, so the product with two
constant matrices is exact at every size, and every runtime can multiply matrices.
The auxiliary head only helps training, so `forward`, which is exported, leaves it out.
Why a skip: at output stride 16 a cell is 16 px wide, wider than the stroma between two glands that lie close
together. An earlier stage still sees it, and joins the head as in DeepLabv3+ (Chen et al. 2018). With few
channels and a depthwise convolution it adds 0.1 GFLOP a window at stride 4, 0.03 at stride 8, to 2.5.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.depthwise import DepthwiseConv2d
from glandseg.training.networks.encoder import Encoder

SKIP_CHANNELS = 24  # of the earlier stage: few, so that its texture does not outweigh the head's context


def pooling_matrix(size: int, bins: int) -> Tensor:
    """Return the matrix of adaptive average pooling along an axis, of `size` pixels into `bins`.

    Returns:
        (bins, size) float32, rows sum to 1.
    """
    matrix = torch.zeros(bins, size)
    for i in range(bins):
        first, last = i * size // bins, -(-(i + 1) * size // bins)
        matrix[i, first:last] = 1 / (last - first)
    return matrix


class ConvNormReLU(nn.Sequential):
    """Convolution without bias, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class PyramidPooling(nn.Module):
    """A map concatenated with its averages over the bins, enlarged to its size.

    Args:
        channels: Channels of the map.
        bins: Cells per side of each level of the pyramid.
    """

    def __init__(self, channels: int, bins: tuple[int, ...]) -> None:
        super().__init__()
        self.bins = bins
        self.levels = nn.ModuleList(ConvNormReLU(channels, channels // len(bins), 1) for _ in bins)
        self.channels = channels + len(bins) * (channels // len(bins))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, h, w) to (N, self.channels, h, w)."""
        height, width = features.shape[2:]
        out = [features]
        for bins, level in zip(self.bins, self.levels, strict=True):
            rows = pooling_matrix(height, bins).to(features)
            columns = pooling_matrix(width, bins).to(features)
            pooled = level(rows @ features @ columns.T)  # (N, c / levels, bins, bins)
            out.append(F.interpolate(pooled, (height, width), mode="bilinear", align_corners=False))
        return torch.cat(out, 1)


class Skip(nn.Module):
    """A coarse map enlarged to an earlier stage's size and mixed with that stage.

    Args:
        coarse: Channels of the coarse map.
        fine: Channels of the earlier stage.
        width: Channels of the result.
    """

    def __init__(self, coarse: int, fine: int, width: int) -> None:
        super().__init__()
        self.coarse, self.fine = ConvNormReLU(coarse, width, 1), ConvNormReLU(fine, SKIP_CHANNELS, 1)
        both = width + SKIP_CHANNELS
        self.depthwise = DepthwiseConv2d(both, 3)
        self.mix = ConvNormReLU(both, width, 1)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Map (N, coarse, h, w) and (N, fine, H, W) to (N, width, H, W)."""
        both = torch.cat([_enlarge(self.coarse(coarse), fine), self.fine(fine)], 1)
        mixed: Tensor = self.mix(self.depthwise(both))
        return mixed


class PSPNet(Segmenter):
    """Per-pixel scores from an encoder's features.

    Args:
        encoder: Encoder; its last stage is pooled, the one before feeds the auxiliary head.
        outputs: Number of scores of a pixel.
        bins: Cells per side of each level of the pyramid.
        width: Channels between the pyramid and the scores.
        dropout: Dropout rate of those channels, 0 to below 1.
        skip: Stride of the encoder's stage that joins those channels; None leaves them alone.
    """

    scores = ("head.2", "auxiliary_head.2")

    def __init__(self, encoder: Encoder, *, outputs: int = 2, bins: tuple[int, ...] = (1, 2, 3, 6),
                 width: int = 512, dropout: float = 0.1, skip: int | None = None) -> None:  # fmt: skip
        super().__init__()
        self.encoder, self.outputs = encoder, outputs
        self.pyramid = PyramidPooling(encoder.channels[-1], bins)
        scored = width if skip is None else width // 2
        self.head = nn.Sequential(
            ConvNormReLU(self.pyramid.channels, width, 3),
            nn.Dropout2d(dropout),
            nn.Conv2d(scored, outputs, 1),
        )
        self.auxiliary_head = nn.Sequential(
            ConvNormReLU(encoder.channels[-2], width // 2, 3),
            nn.Dropout2d(dropout),
            nn.Conv2d(width // 2, outputs, 1),
        )
        self.skip_stage = max((i for i, stride in enumerate(encoder.strides) if stride == skip), default=None)
        if self.skip_stage is not None:
            self.skip = Skip(width, encoder.channels[self.skip_stage], scored)

    def forward(self, images: Tensor) -> Tensor:
        """Compute (N, outputs, H, W) logits of (N, 3, H, W) float RGB in 0..1."""
        return self._score(self.encoder(self.encoder.normalise(images)), images)

    def forward_both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits of the main and of the auxiliary head, for training; shapes as of `forward`."""
        features = self.encoder(self.encoder.normalise(images))
        return self._score(features, images), _enlarge(self.auxiliary_head(features[-2]), images)

    def _score(self, features: list[Tensor], images: Tensor) -> Tensor:
        first, dropout, last = self.head
        x = first(self.pyramid(features[-1]))
        if self.skip_stage is not None:
            x = self.skip(x, features[self.skip_stage])
        return _enlarge(last(dropout(x)), images)


def _enlarge(features: Tensor, like: Tensor) -> Tensor:
    """Interpolate (N, C, h, w) features to the height and width of another tensor."""
    return F.interpolate(features, like.shape[2:], mode="bilinear", align_corners=False)
