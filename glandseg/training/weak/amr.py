"""AMR: activation modulation and recalibration (Qin et al. 2022).

A spotlight branch, plain class activation maps, finds the most telling pixels. A compensation branch sees
features whose attention was modulated by a Gaussian: what lies near the mean gains, extremes lose, so that
minor parts of glands count. Cross pseudo supervision draws both maps together, and their mean is the map.
Here the branches share an encoder, which every compared method has alike; the paper gives each its own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.cam import TINY, ClassActivationMaps, rectify
from glandseg.training.weak.feng import FUSED_STAGES

REDUCTION, KERNEL = 16, 7
AGREEMENT = 0.05  # weight of cross pseudo supervision, as in the released code


class ActivationModulation(nn.Module):
    """Attention over channels, then over pixels, each modulated by a Gaussian (AMM).

    Args:
        channels: Channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // REDUCTION, 1)
        self.channel = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.pixel = nn.Sequential(
            nn.Conv2d(2, 1, KERNEL, padding=KERNEL // 2, bias=False), nn.BatchNorm2d(1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Compute modulated features of the same shape from (N, C, h, w) features."""
        of_channels: Tensor = self.channel(features.mean((2, 3)))
        features = features * modulate(of_channels)[..., None, None].to(features.dtype)
        pooled = torch.cat([features.amax(1, keepdim=True), features.mean(1, keepdim=True)], 1)
        of_pixels: Tensor = self.pixel(pooled)
        return features * modulate(of_pixels.flatten(1)).view_as(of_pixels).to(features.dtype)


def modulate(attention: Tensor) -> Tensor:
    """Return the normal density of (N, K) values under each row's mean and deviation, which are constants."""
    values = widen(attention)
    mean = values.mean(1, keepdim=True).detach()
    deviation = values.std(1, keepdim=True, correction=0).detach() + TINY
    return torch.exp(-((values - mean) ** 2) / (2 * deviation**2)) / (math.sqrt(2 * math.pi) * deviation)


class AMR(ClassActivationMaps):
    """Class maps of a spotlight and a compensation branch."""

    is_normalized = True

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        self.modulations = nn.ModuleList(map(ActivationModulation, encoder.channels[-FUSED_STAGES:]))
        self.compensation = nn.Conv2d(self.class_map.in_channels, CLASSES, 1, bias=False)
        nn.init.xavier_uniform_(self.compensation.weight)

    def map_both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the signed class maps of spotlight and compensation, both (N, 2, h, w) float."""
        stages = self.encoder(self.encoder.normalise(images))[-FUSED_STAGES:]
        modulated = [change(stage) for change, stage in zip(self.modulations, stages, strict=True)]
        return self.class_map(self.fuse(stages)), self.compensation(self.fuse(modulated))

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the weighted maps, the mean of both branches' in 0..1: (N, 2, h, w) float."""
        spotlight, compensation = self.map_both(images)
        return (rectify(spotlight) + rectify(compensation)) / 2

    def forward(self, images: Tensor) -> Tensor:
        """Compute one logit per class, the mean of both branches', (N, 2) float."""
        spotlight, compensation = self.map_both(images)
        return widen(spotlight + compensation).mean((2, 3)) / 2

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute both branches' mean binary cross entropy plus the weighted difference of their maps."""
        maps = self.map_both(batch.images)
        own = [compute_presence_loss(widen(each).mean((2, 3)), batch.labels) for each in maps]
        difference = (relu(widen(maps[0])) - relu(widen(maps[1]))).abs().mean()
        return (own[0] + own[1]) / 2 + AGREEMENT * difference
