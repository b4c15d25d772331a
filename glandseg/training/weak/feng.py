"""The method of Feng et al. 2025: attention (CCA) before the class map, pyramid pooling (MPFP) after it.

Class activation maps alone light up the most telling pixels of a gland. Attention lets a pixel borrow
evidence from those that look alike, and the pooling weighs whole regions, so that the maps cover glands.
Settings switch either off, for the papers' ablations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.attention import build_attention
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.pooling import build_pooling

FUSED_STAGES = 3


class Feng(WeakMethod):
    """Class maps from an encoder's last three stages, pooled to logits (OEEM Eq. 1, Feng Fig. 2).

    Args:
        encoder: Encoder, of whose stages the last three are the paper's 4, 5 and 6.
        settings: Settings of stage 1: attention, bias, pooling, sizes and fusion.
    """

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        channels = encoder.channels[-FUSED_STAGES:]
        self.attentions = nn.ModuleList(
            build_attention(kind, width) for kind, width in zip(settings.attention, channels, strict=True)
        )
        self.class_map = nn.Conv2d(sum(channels), CLASSES, 1, bias=settings.bias)
        nn.init.xavier_uniform_(self.class_map.weight)
        if settings.bias:
            nn.init.zeros_(self.class_map.get_parameter("bias"))
        self.pooling = build_pooling(settings.pooling, CLASSES, settings.sizes, settings.fusion)

    def fuse(self, stages: Sequence[Tensor]) -> Tensor:
        """Fuse the last three of the encoder's stages to (N, C, h, w), at the last one's size."""
        attended = [
            attend(stage) for attend, stage in zip(self.attentions, stages[-FUSED_STAGES:], strict=True)
        ]
        size = attended[-1].shape[2:]
        fused = [F.interpolate(stage, size, mode="bilinear", align_corners=False) for stage in attended]
        return torch.cat(fused, 1)

    def extract(self, images: Tensor) -> Tensor:
        """Compute the fused features, (N, C, h, w) float, of (N, 3, H, W) float RGB in 0..1."""
        return self.fuse(self.encoder(self.encoder.normalise(images)))

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the signed class map F, (N, 2, h, w) float at the encoder's output stride."""
        out: Tensor = self.class_map(self.extract(images))
        return out

    def forward(self, images: Tensor) -> Tensor:
        """Compute one logit per class, (N, 2) float, from (N, 3, H, W) float RGB in 0..1."""
        logits: Tensor = self.pooling(self.class_map(self.extract(images)))[0]
        return logits
