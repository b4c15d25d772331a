"""Evidence of a trained classifier: its class activation maps (Feng Eq. 4, OEEM Eq. 1-2).

A patch sees little context at its border, and its map is a few pixels wide; averaging those of overlapping
patches, and of several scales, evens both out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.torch_backend import autocast, evaluating, move_beside, to_images
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.patch_stream import enlarge


class ActivationMaps:
    """Activation map of gland minus that of non-gland, averaged over the scales of the settings.

    Args:
        classifier: Trained classifier.
        settings: Settings of stage 1.
        layer: Layer of the classifier whose maps are meant, times its weight; None means all at once.
    """

    def __init__(
        self, classifier: WeakMethod, settings: ClassifierSettings, layer: int | None = None
    ) -> None:
        self._classifier = classifier
        self._settings = settings
        self._layer = layer

    def map_patches(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[NDArray[np.float32]]:
        """Compute the log odds of gland of each patch, as `Evidence` says."""
        settings = self._settings
        maps = [np.zeros((patch.height_px, patch.width_px), np.float32) for patch in patches]
        for scale in settings.scales if patches else ():
            side = round(settings.input * scale)
            cut = [enlarge(patch.cut(image), side) for patch in patches]
            for values, patch, found in zip(maps, patches, self._map_batches(cut), strict=True):
                non_gland, gland = _combine(found, self._rule, (patch.width_px, patch.height_px))
                values += self._weight * (gland - non_gland) / len(settings.scales)
        return maps

    @property
    def _rule(self) -> str:
        return "raw" if self._classifier.is_normalized else self._settings.combine

    @property
    def _weight(self) -> float:
        return 1.0 if self._layer is None else self._classifier.layer_weights[self._layer]

    def _map(self, images: Tensor) -> Tensor:
        if self._layer is None:
            return self._classifier.map_classes(images)
        return self._classifier.map_layers(images)[self._layer]

    def _map_batches(self, cut: Sequence[NDArray[np.uint8]]) -> Iterator[NDArray[np.float32]]:
        fit = self._settings.fit
        for first in range(0, len(cut), fit.batch):
            samples = to_images(move_beside(self._classifier, np.stack(cut[first : first + fit.batch])))
            with evaluating(self._classifier), autocast(enabled=fit.precision == "bfloat16"):
                found = self._map(samples).float().cpu().numpy()
            yield from found


def _combine(class_map: NDArray[np.float32], rule: str, size_wh: tuple[int, int]) -> NDArray[np.float32]:
    enlarged = np.stack([cv2.resize(values, size_wh, interpolation=cv2.INTER_LINEAR) for values in class_map])
    if rule == "raw":
        return enlarged
    positive = np.maximum(enlarged, 0)
    return np.asarray(positive / np.maximum(positive.max(axis=(1, 2), keepdims=True), 1e-6), np.float32)
