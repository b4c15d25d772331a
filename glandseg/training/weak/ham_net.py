"""HAM-Net, stage 1 of HAMIL: high-resolution activation maps of several layers (Zhong et al. 2023).

Three exits, of the last two stages and of a light head of three convolutions, are classifiers of their own;
their maps, at a stride of 8, are averaged (multiple layer fusion), and so are those of flipped images, in
place of the paper's random augmentations. Settings may add Feng's attention and pooling to each exit (Feng et
al. 2025, Table A5). The second stage,
interleaved learning, is `segmenter.members=3`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.attention import build_attention
from glandseg.training.weak.cam import rectify
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.pooling import build_pooling

EXIT_STAGES = 2
MOST_CHANNELS = 512  # of the head
FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (3,), (2, 3))  # axes of an (N, C, H, W) image


class HAMNet(WeakMethod):
    """Class maps of three exits, averaged over exits and flips."""

    is_normalized = True

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        channels = encoder.channels[-EXIT_STAGES:]
        kinds = settings.attention[-EXIT_STAGES:]
        self.attentions = nn.ModuleList(map(build_attention, kinds, channels))
        self.head = _build_head(channels[-1], min(channels[-1], MOST_CHANNELS))
        widths = (*channels, min(channels[-1], MOST_CHANNELS))
        self.exits = nn.ModuleList(nn.Conv2d(width, CLASSES, 1) for width in widths)
        self.poolings = nn.ModuleList(
            build_pooling(settings.pooling, CLASSES, settings.sizes, settings.fusion) for _ in widths
        )

    def map_exits(self, images: Tensor) -> list[Tensor]:
        """Compute the signed class map of each exit, early to late, each (N, 2, h, w) float."""
        stages = self.encoder(self.encoder.normalise(images))[-EXIT_STAGES:]
        attended = [attend(stage) for attend, stage in zip(self.attentions, stages, strict=True)]
        layers = [*attended, self.head(attended[-1])]
        return [leave(layer) for leave, layer in zip(self.exits, layers, strict=True)]

    def pool_exits(self, images: Tensor) -> list[Tensor]:
        """Compute one logit per class of each exit, early to late, each (N, 2) float."""
        return [pool(each)[0] for pool, each in zip(self.poolings, self.map_exits(images), strict=True)]

    def forward(self, images: Tensor) -> Tensor:
        """Compute one logit per class, the mean of the exits', (N, 2) float."""
        return torch.stack(self.pool_exits(images)).mean(0)

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the mean of the exits' rectified maps over flips, (N, 2, h, w) float in 0..1."""
        fused = [self._fuse_exits(images.flip(axes)).flip(axes) for axes in FLIPS]
        return torch.stack(fused).mean(0)

    def _fuse_exits(self, images: Tensor) -> Tensor:
        maps = [rectify(each) for each in self.map_exits(images)]
        size = maps[-1].shape[2:]
        return torch.stack([interpolate(each, size, mode="bilinear") for each in maps]).mean(0)

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute the sum of the exits' mean binary cross entropies."""
        losses = [compute_presence_loss(each, batch.labels) for each in self.pool_exits(batch.images)]
        return torch.stack(losses).sum()


def _build_head(inputs: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, width, width):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers)
