"""Label rules: how an image's patch labels correct the log odds of its patches.

A class that is absent from a patch is nowhere in it, so the labels alone decide many pixels, for free.
"veto" averages overlapping patches, then takes away a class that any patch over a pixel lacks. "inside"
(OEEM) eliminates absent classes and decides inside each patch, then takes the majority of the patches.
Presence is a matter of a patch's share, so patches may lack both classes at a pixel; there the log odds
decide, else the pixel would have no label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.training.data.augment import IGNORED
from glandseg.training.data.patches import Patch
from glandseg.training.torch_backend import CLASSES

Maps = Sequence[NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """An image's labels.

    Attributes:
        mask: (H, W) uint8: 0 non-gland, 1 gland, 255 where no patch lies.
        log_odds: (H, W) float32: mean log odds of gland over the patches; 0 where no patch lies.
        decided: (H, W) uint8: what labels alone decide, as `decide_by_labels` returns.
    """

    mask: NDArray[np.uint8]
    log_odds: NDArray[np.float32]
    decided: NDArray[np.uint8]

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """Pixels under patches that the labels leave open, (H, W) bool."""
        return np.asarray((self.mask != IGNORED) & (self.decided == IGNORED))


def decide_by_labels(shape: tuple[int, ...], patches: Sequence[Patch]) -> NDArray[np.uint8]:
    """Label the pixels that patch labels alone decide.

    Args:
        shape: Image size, (H, W).
        patches: Patches of the image.

    Returns:
        (H, W) uint8: 0 under a patch without gland, 1 under a patch without non-gland, else, or where patches
        contradict each other, 255.
    """
    absent = np.zeros((CLASSES, *shape[:2]), bool)
    for patch in patches:
        for label, present in enumerate(patch.present):
            patch.cut(absent[label])[...] |= not present
    return np.where(absent[0] == absent[1], IGNORED, absent[0]).astype(np.uint8)


def label_image(shape: tuple[int, ...], patches: Sequence[Patch], maps: Maps, rule: str) -> Labelling:
    """Label an image.

    Args:
        shape: Image size, (H, W).
        patches: Patches of the image.
        maps: Log odds of gland of each patch, (height, width) float32.
        rule: Key of `RULES`.
    """
    total, covered = np.zeros(shape[:2], np.float32), np.zeros(shape[:2], np.int32)
    for patch, values in zip(patches, maps, strict=True):
        patch.cut(total)[...] += values
        patch.cut(covered)[...] += 1
    mean = np.asarray(total / np.maximum(covered, 1), np.float32)
    decided = decide_by_labels(shape, patches)
    mask = np.where(covered > 0, RULES[rule](mean, decided, patches, maps), IGNORED).astype(np.uint8)
    return Labelling(mask=mask, log_odds=mean, decided=decided)


def _veto(
    mean: NDArray[np.float32], decided: NDArray[np.uint8], patches: Sequence[Patch], maps: Maps
) -> NDArray[np.uint8]:
    return np.where(decided == IGNORED, mean > 0, decided).astype(np.uint8)


def _vote_inside(
    mean: NDArray[np.float32], decided: NDArray[np.uint8], patches: Sequence[Patch], maps: Maps
) -> NDArray[np.uint8]:
    votes = np.zeros(mean.shape, np.int32)
    for patch, values in zip(patches, maps, strict=True):
        non_gland, gland = patch.present
        is_gland = values > 0 if non_gland and gland else np.full(values.shape, gland)
        patch.cut(votes)[...] += np.where(is_gland, 1, -1)
    return np.where(votes == 0, mean > 0, votes > 0).astype(np.uint8)


# (mean log odds (H, W), pixels decided by labels (H, W), patches, maps) -> (H, W) uint8 labels
RULES: dict[
    str,
    Callable[[NDArray[np.float32], NDArray[np.uint8], Sequence[Patch], Maps], NDArray[np.uint8]],
] = {"veto": _veto, "inside": _vote_inside}
