"""From the classifier's activation maps to a pseudo mask for every image (Feng Eq. 4, OEEM Eq. 1-2).

A patch sees little context at its border, and its map is a few pixels wide; averaging those of overlapping
patches, and of several scales, evens both out. The labels then correct the maps for free: a class that is
absent from any patch over a pixel is vetoed there, however strong its map. Presence is a matter of a
patch's share, so overlapping patches may veto both classes of a pixel; there the maps decide, else the
pixel would have no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.training.data.augment import IGNORED
from glandseg.training.data.patches import Patch
from glandseg.training.settings import ClassifierSettings
from glandseg.training.torch_backend import CLASSES, autocast, evaluating, move_beside, to_images
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.patch_stream import enlarge


def make_pseudo_masks(
    classifier: WeakMethod,
    patches: Sequence[Patch],
    images: Sequence[NDArray[np.uint8]],
    wanted: Sequence[int],
    settings: ClassifierSettings,
) -> Iterator[NDArray[np.uint8]]:
    """Yield the pseudo masks of the wanted images, in that order.

    Yields:
        (H, W) uint8: 0 non-gland, 1 gland, 255 where no patch lies.
    """
    by_sample: dict[int, list[Patch]] = {}
    for patch in patches:
        by_sample.setdefault(patch.sample, []).append(patch)
    for index in wanted:
        own, image = by_sample.get(index, []), images[index]
        yield merge_maps(image.shape[:2], own, _map_patches(classifier, own, image, settings))


def merge_maps(
    shape: tuple[int, ...], patches: Sequence[Patch], maps: Sequence[NDArray[np.float32]]
) -> NDArray[np.uint8]:
    """Average the patches' maps on the image, veto absent classes and return the stronger class.

    Args:
        shape: Image size, (H, W).
        patches: Patches of the image.
        maps: Activation map of each patch, (2, height, width) float32.

    Returns:
        (H, W) uint8: 0 non-gland, 1 gland, 255 where no patch lies.
    """
    total = np.zeros((CLASSES, *shape[:2]), np.float32)
    covered, vetoed = np.zeros(shape[:2], np.int32), np.zeros((CLASSES, *shape[:2]), bool)
    for patch, values in zip(patches, maps, strict=True):
        place = (
            slice(patch.y_px, patch.y_px + patch.height_px),
            slice(patch.x_px, patch.x_px + patch.width_px),
        )
        total[:, place[0], place[1]] += values
        covered[place] += 1
        for label, present in enumerate(patch.present):
            vetoed[label][place] |= not present
    vetoed &= ~vetoed.all(axis=0)
    mean = np.where(vetoed, -np.inf, total / np.maximum(covered, 1))
    return np.where(covered > 0, mean.argmax(axis=0), IGNORED).astype(np.uint8)


def _map_patches(
    classifier: WeakMethod, patches: Sequence[Patch], image: NDArray[np.uint8], settings: ClassifierSettings
) -> list[NDArray[np.float32]]:
    maps = [np.zeros((CLASSES, patch.height_px, patch.width_px), np.float32) for patch in patches]
    for scale in settings.scales if patches else ():
        side = round(settings.input * scale)
        cut = [enlarge(patch.cut(image), side) for patch in patches]
        for values, patch, found in zip(maps, patches, _map_batches(classifier, cut, settings), strict=True):
            size_wh = (patch.width_px, patch.height_px)
            values += _combine(found, settings.combine, size_wh) / len(settings.scales)
    return maps


def _map_batches(
    classifier: WeakMethod, cut: Sequence[NDArray[np.uint8]], settings: ClassifierSettings
) -> Iterator[NDArray[np.float32]]:
    for first in range(0, len(cut), settings.fit.batch):
        samples = to_images(move_beside(classifier, np.stack(cut[first : first + settings.fit.batch])))
        with evaluating(classifier), autocast(enabled=settings.fit.precision == "bfloat16"):
            found = classifier.map_classes(samples).float().cpu().numpy()
        yield from found


def _combine(class_map: NDArray[np.float32], rule: str, size_wh: tuple[int, int]) -> NDArray[np.float32]:
    enlarged = np.stack([cv2.resize(values, size_wh, interpolation=cv2.INTER_LINEAR) for values in class_map])
    if rule == "raw":
        return enlarged
    positive = np.maximum(enlarged, 0)
    return np.asarray(positive / np.maximum(positive.max(axis=(1, 2), keepdims=True), 1e-6), np.float32)
