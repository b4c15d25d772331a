"""AME-CAM: attentive multiple-exit class activation maps (Chen et al. 2023).

Late stages know the class, early ones the place. Each stage is an exit with a classifier of its own, and a
small attention network weighs the exits at every pixel. Nobody tells it the right weights: it learns them by
contrast, from images split into foreground and background by the aggregated map. Foregrounds of a class must
look alike across images, backgrounds too, and both unlike each other. Exits and weights are learned together
here, the latter from maps without gradient; the paper trains one after the other.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.cam import TINY
from glandseg.training.weak.method import WeakMethod

EXIT_WEIGHTS = (0.25, 0.5, 0.75, 1.0)  # of the exits' losses, early to late
WIDTH = 32  # channels of the attention network
LEAST, MOST = 0.0005, 0.9995  # cosine similarities are kept between them
RANK_DECAY = 0.25  # of the weights of less similar pairs


class AMECAM(WeakMethod):
    """Class maps of the last four stages and of their weighted sum, averaged."""

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        channels = encoder.channels[-len(EXIT_WEIGHTS) :]
        self.exits = nn.ModuleList(nn.Conv2d(width, CLASSES, 1) for width in channels)
        self.attention = _build_attention(len(channels))

    def map_exits(self, images: Tensor) -> list[Tensor]:
        """Compute the signed class map of each exit, early to late, each (N, 2, h, w) float."""
        stages = self.encoder(self.encoder.normalise(images))[-len(self.exits) :]
        return [widen(leave(stage)) for leave, stage in zip(self.exits, stages, strict=True)]

    def forward(self, images: Tensor) -> Tensor:
        """Compute one logit per class of the last exit, (N, 2) float."""
        return self.map_exits(images)[-1].mean((2, 3))

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the mean of the exits' maps and their weighted sum, (N, 2, h, w) float."""
        stacked = _stack(self.map_exits(images))
        weighted = self.aggregate(stacked, images)
        return (stacked.sum(2) + weighted) / (stacked.shape[2] + 1)

    def aggregate(self, stacked: Tensor, images: Tensor) -> Tensor:
        """Weigh the exits at every pixel by a softmax (Eq. 1 and 2).

        Args:
            stacked: (N, 2, E, h, w) float, the exits' maps.
            images: (N, 3, H, W) float RGB in 0..1.

        Returns:
            (N, 2, h, w) float.
        """
        size = stacked.shape[3:]
        grey = _to_grey(images, size)[:, :, None]
        masked = (grey * _stretch(stacked)).flatten(0, 1)  # (N * 2, E, h, w): classes are images alike
        weights = widen(self.attention(masked)).softmax(1).view_as(stacked)
        return (weights * stacked).sum(2)

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute the exits' weighted loss, plus the contrast of foregrounds and backgrounds (Eq. 3 to 5)."""
        maps = self.map_exits(batch.images)
        own = [
            weight * compute_presence_loss(each.mean((2, 3)), batch.labels)
            for weight, each in zip(EXIT_WEIGHTS[-len(maps) :], maps, strict=True)
        ]
        weighted = _stretch(self.aggregate(_stack([each.detach() for each in maps]), batch.images))
        grey = _to_grey(batch.images, weighted.shape[2:])[:, 0]
        contrasts = []
        for label in range(CLASSES):
            has_class = batch.labels[:, label] > 0
            if has_class.any():
                share, seen = weighted[has_class, label], grey[has_class]
                pair = (seen * share).flatten(1), (seen * (1 - share)).flatten(1)
                contrasts.append(compute_contrast(*pair) / CLASSES)
        return torch.stack(own + contrasts).sum()


def compute_contrast(foreground: Tensor, background: Tensor) -> Tensor:
    """Compute the loss that pulls foregrounds and backgrounds together, and both apart, of (N, K) images."""
    apart = -torch.log(1 - compare(foreground, background)).mean()
    return apart + _pull(foreground) + _pull(background)


def compare(one: Tensor, other: Tensor) -> Tensor:
    """Compute the cosine similarity of every pair of (N, K) and (M, K), (N, M) float."""
    return (normalize(one, dim=1) @ normalize(other, dim=1).T).clamp(LEAST, MOST)


def _pull(images: Tensor) -> Tensor:
    similarity = compare(images, images)
    rank = similarity.argsort(dim=1, descending=True).argsort(dim=1) - 1
    return (-torch.log(similarity) * torch.exp(-RANK_DECAY * rank)).mean()


def _build_attention(exits: int) -> nn.Sequential:
    widths = (exits, WIDTH, WIDTH, WIDTH, exits)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)


def _stack(maps: list[Tensor]) -> Tensor:
    """Resize (N, 2, h, w) maps to the first one's size, and stack them to (N, 2, E, h, w)."""
    size = maps[0].shape[2:]
    return torch.stack([interpolate(each, size, mode="bilinear") for each in maps], 2)


def _stretch(maps: Tensor) -> Tensor:
    """Stretch maps to 0..1 over their last two axes."""
    low, high = maps.amin(dim=(-2, -1), keepdim=True), maps.amax(dim=(-2, -1), keepdim=True)
    return (maps - low) / (high - low + TINY)


def _to_grey(images: Tensor, size: torch.Size) -> Tensor:
    """Average (N, 3, H, W) images over colors, resized to (N, 1, h, w)."""
    return interpolate(images.mean(1, keepdim=True), tuple(size), mode="bilinear", antialias=True)
