"""SEAM: activation maps that follow the image through a change of scale (Wang et al. 2020).

A classifier may light up other pixels of a rescaled image, though the glands are the same. Two branches with
shared weights see the image and a smaller copy, and their maps must agree (equivariant regularization). A
pixel correlation module passes evidence between pixels that look alike; the maps of one branch must agree
with the refined ones of the other, else refinement could reach agreement by maps that are empty or full.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize, relu

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.weak.cam import TINY, ClassActivationMaps, rectify

SCALE = 0.3  # of the second branch's image
HARD_SHARE = 0.2  # of the values that cross regularization counts: the hardest
WIDTHS, EMBEDDING = (64, 128), 192  # channels of the correlation module


class SEAM(ClassActivationMaps):
    """Self-supervised equivariant attention: class maps regularized by scale, refined by correlation."""

    is_normalized = True

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        self.reductions = nn.ModuleList(
            nn.Conv2d(channels, width, 1, bias=False)
            for channels, width in zip(encoder.channels[-3:-1], WIDTHS, strict=True)
        )
        self.embedding = nn.Conv2d(3 + sum(WIDTHS), EMBEDDING, 1, bias=False)

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the refined maps, (N, 2, h, w) float in 0..1."""
        return self.map_both(images)[1]

    def map_both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the signed class map and the refined maps in 0..1, both (N, 2, h, w) float."""
        normalised = self.encoder.normalise(images)
        stages = self.encoder(normalised)
        class_map = self.class_map(self.fuse(stages))
        return class_map, self.correlate(rectify(class_map).detach(), normalised, stages)

    def correlate(self, maps: Tensor, normalised: Tensor, stages: Sequence[Tensor]) -> Tensor:
        """Refine maps by the similarity of pixels (Eq. 4 and 5).

        The encoder gets no gradient from here: it would learn features for the refinement alone.

        Args:
            maps: (N, 2, h, w) float in 0..1.
            normalised: (N, 3, H, W) float, as of `Encoder.normalise`.
            stages: Feature maps of the encoder.

        Returns:
            The same shape: for each pixel the mean over all, weighted by their rectified cosine similarity.
        """
        size = maps.shape[2:]
        shallow = [
            relu(reduce(stage.detach())) for reduce, stage in zip(self.reductions, stages[-3:-1], strict=True)
        ]
        parts = [interpolate(part, size, mode="bilinear") for part in (normalised, *shallow)]
        embedded = normalize(widen(self.embedding(torch.cat(parts, 1))).flatten(2), dim=1)  # (N, 192, hw)
        similarity = relu(embedded.transpose(1, 2) @ embedded)
        weights = similarity / (similarity.sum(2, keepdim=True) + TINY)
        return (maps.flatten(2) @ weights.transpose(1, 2)).view_as(maps)

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute classification, equivariant and equivariant cross regularization loss (Eq. 6 to 9)."""
        class_map, refined = self.map_both(batch.images)
        small = interpolate(batch.images, scale_factor=SCALE, mode="bilinear", antialias=True)
        small_map, small_refined = self.map_both(small)
        present = batch.labels[:, :, None, None]
        size = small_map.shape[2:]

        def shrink(maps: Tensor) -> Tensor:
            return interpolate(maps * present, size, mode="bilinear", antialias=True)

        own, other = shrink(rectify(class_map)), rectify(small_map) * present
        classification = [
            compute_presence_loss(widen(each).mean((2, 3)), batch.labels) for each in (class_map, small_map)
        ]
        equivariant = (own - other).abs().mean()
        cross = _average_hardest(own - small_refined * present) + _average_hardest(shrink(refined) - other)
        return (classification[0] + classification[1]) / 2 + equivariant + cross


def _average_hardest(difference: Tensor) -> Tensor:
    values = difference.abs().flatten(1)
    return values.topk(max(int(values.shape[1] * HARD_SHARE), 1)).values.mean()
