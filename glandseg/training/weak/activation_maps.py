"""Evidence of a trained classifier: its class activation maps (Feng Eq. 4, OEEM Eq. 1-2).

A patch sees little context at its border, and its map is a few pixels wide; averaging those of overlapping
patches, and of several scales, evens both out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.torch_backend import run_batches
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.patch_stream import enlarge

MapImages = Callable[[Tensor], list[Tensor]]  # (N, 3, H, W) images -> (N, 2, h, w) class maps of each layer


class ActivationMaps:
    """Activation map of gland minus that of non-gland, averaged over the scales of the settings.

    Args:
        classifier: Trained classifier.
        settings: Settings of stage 1.
    """

    def __init__(self, classifier: WeakMethod, settings: ClassifierSettings) -> None:
        self._classifier = classifier
        self._settings = settings

    def map_patches(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[NDArray[np.float32]]:
        """Compute the log odds of gland of each patch, as `Evidence` says."""
        [maps] = self._map(image, patches, lambda images: [self._classifier.map_classes(images)], (1.0,))
        return maps

    def map_layers(
        self, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[list[NDArray[np.float32]]]:
        """Compute the same for each layer of the classifier, times the layer's weight."""
        return self._map(image, patches, self._classifier.map_layers, self._classifier.layer_weights)

    def _map(
        self,
        image: NDArray[np.uint8],
        patches: Sequence[Patch],
        map_images: MapImages,
        weights: Sequence[float],
    ) -> list[list[NDArray[np.float32]]]:
        settings = self._settings
        rule = "raw" if self._classifier.is_normalized else settings.combine
        maps = [[np.zeros((each.height_px, each.width_px), np.float32) for each in patches] for _ in weights]
        for scale in settings.scales if patches else ():
            cut = [enlarge(patch.cut(image), round(settings.input * scale)) for patch in patches]
            for place, layers in enumerate(self._map_batches(cut, map_images)):
                size_wh = patches[place].width_px, patches[place].height_px
                for of_layer, weight, found in zip(maps, weights, layers, strict=True):
                    non_gland, gland = _combine(found, rule, size_wh)
                    of_layer[place] += weight * (gland - non_gland) / len(settings.scales)
        return maps

    def _map_batches(
        self, cut: Sequence[NDArray[np.uint8]], map_images: MapImages
    ) -> Iterator[tuple[NDArray[np.float32], ...]]:
        """Yield each patch's class maps, (2, h, w) of each layer."""
        fit = self._settings.fit
        bfloat16 = fit.precision == "bfloat16"
        for layers in run_batches(self._classifier, cut, fit.batch, map_images, bfloat16=bfloat16):
            yield from zip(*layers, strict=True)


class LayerMaps:
    """One layer's activation maps; all layers of an image are mapped together, when the first is asked for.

    Args:
        shared: Maps that all layers share, by image.
        layer: Place of the layer.
    """

    def __init__(self, shared: SharedMaps, layer: int) -> None:
        self._shared, self._layer = shared, layer

    def map_patches(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[NDArray[np.float32]]:
        """Compute the log odds of gland of each patch, as `Evidence` says."""
        return self._shared.map_layers(sample, image, patches)[self._layer]


class SharedMaps:
    """The maps of all layers of the image that was asked for last.

    Args:
        maps: Activation maps of a classifier with several layers.
    """

    def __init__(self, maps: ActivationMaps) -> None:
        self._maps = maps
        self._name: str | None = None
        self._layers: list[list[NDArray[np.float32]]] = []

    def map_layers(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[list[NDArray[np.float32]]]:
        """Compute the maps of each patch for each layer, or return those that were computed before."""
        if sample.name != self._name:
            self._name, self._layers = sample.name, self._maps.map_layers(image, patches)
        return self._layers


def _combine(class_map: NDArray[np.float32], rule: str, size_wh: tuple[int, int]) -> NDArray[np.float32]:
    enlarged = np.stack([cv2.resize(values, size_wh, interpolation=cv2.INTER_LINEAR) for values in class_map])
    if rule == "raw":
        return enlarged
    positive = np.maximum(enlarged, 0)
    return np.asarray(positive / np.maximum(positive.max(axis=(1, 2), keepdims=True), 1e-6), np.float32)
