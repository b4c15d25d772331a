"""Patches of an image with their labels: non-gland, gland or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.image_file import measure_white
from glandseg.training.data.sample import Sample

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, kw_only=True)
class Patch:
    """A rectangle of an image with its labels, all that stage 1 learns from.

    Attributes:
        sample: Index of the sample.
        x_px: Left edge.
        y_px: Upper edge.
        width_px: Width.
        height_px: Height.
        present: Whether it holds non-gland and gland tissue.
    """

    sample: int
    x_px: int
    y_px: int
    width_px: int
    height_px: int
    present: tuple[bool, bool]

    def cut(self, image: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return a view of this patch's part of its image, or of another array of that height and width."""
        return image[self.y_px : self.y_px + self.height_px, self.x_px : self.x_px + self.width_px]


@dataclass(frozen=True, kw_only=True)
class LabelledPatches:
    """All that stage 1 works on.

    Attributes:
        samples: Samples to make pseudo masks of.
        images: Their images, (H, W, 3) uint8 RGB.
        patches: Their patches.
        train: Patches to learn from.
        val: Patches to choose weights on.
    """

    samples: Sequence[Sample]
    images: Sequence[NDArray[np.uint8]]
    patches: Sequence[Patch]
    train: Sequence[Patch]
    val: Sequence[Patch]


def list_patches(
    samples: Sequence[Sample],
    images: Sequence[NDArray[np.uint8]],
    um_per_px: float,
    settings: ClassifierSettings,
) -> list[Patch]:
    """Cut images into labelled patches.

    An image with an outline mask is cut into squares of `side` every `stride` px, the last one flush with
    the border; a class is present where it covers at least `present` of the patch. An image with labels is
    one patch. Patches of mostly white background are dropped.

    Args:
        samples: Samples with labels or masks.
        images: Their images, (H, W, 3) uint8 RGB.
        um_per_px: Microns per pixel of the images.
        settings: Side, stride and both shares.
    """
    factor = (settings.um_per_px or um_per_px) / um_per_px
    side, stride = max(round(settings.side * factor), 1), max(round(settings.stride * factor), 1)
    patches = []
    for index, (sample, image) in enumerate(zip(samples, images, strict=True)):
        height, width = image.shape[:2]
        if sample.labels is not None:
            cut = [_whole(index, width, height, sample.labels)]
        else:
            cut = _cut_grid(index, sample.read_mask(image.shape), side, stride, settings.present)
        patches += [patch for patch in cut if measure_white(patch.cut(image)) <= settings.background]
    return patches


def grid_starts(length: int, side: int, stride: int) -> list[int]:
    """Return the starts of patches along an axis, in px: every `stride`, and flush with its end."""
    last = max(length - side, 0)
    return sorted({*range(0, last + 1, stride), last})


def _whole(index: int, width: int, height: int, present: tuple[bool, bool]) -> Patch:
    return Patch(sample=index, x_px=0, y_px=0, width_px=width, height_px=height, present=present)


def _cut_grid(index: int, mask: NDArray[np.uint8], side: int, stride: int, minimum: float) -> list[Patch]:
    height, width = mask.shape
    patches = []
    for y in grid_starts(height, side, stride):
        for x in grid_starts(width, side, stride):
            part = mask[y : y + side, x : x + side]
            present = (bool((part == 0).mean() >= minimum), bool((part == 1).mean() >= minimum))
            patches.append(
                Patch(
                    sample=index,
                    x_px=x,
                    y_px=y,
                    width_px=part.shape[1],
                    height_px=part.shape[0],
                    present=present,
                )
            )
    return patches


def count_presence(patches: Sequence[Patch]) -> str:
    """Return a text with the numbers of patches of only gland, only non-gland, and both."""
    counts = Counter(patch.present for patch in patches)
    return (
        f"{counts[False, True]} only gland, {counts[True, False]} only non-gland, {counts[True, True]} both"
    )
