"""Stage 2: examples, batches and scores of a segmenter that learns from outlines or pseudo masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glandseg.runtime.glands.cut import mark_gland
from glandseg.runtime.tiling.in_memory import segment_image
from glandseg.training.data.augment import (
    IGNORED,
    AugmentSettings,
    change_stain,
    lay_glass,
    place_randomly,
    put_together,
)
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.loop.sampling import WHOLE, Batch, shuffled_indices
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.torch_backend import TorchBackend, to_images

MAPS = ("soft", "core", "border")  # beside the mask of an example, in the order of a batch's labels


@dataclass(frozen=True, kw_only=True)
class Example:
    """An image and its labels, in memory.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8: 0 non-gland, 1 gland, 255 ignored.
        soft: (H, W) uint8: a teacher's probability of gland, or the share of several pseudo masks that say
            so; 255 for certainty.
        core: (H, W) uint8: probability of a gland's core, 255 for certainty.
        border: (H, W) uint8: share of `border_weight` that is added to the pixel's weight, 255 for all.

    In a stream, all examples have the same maps.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    soft: NDArray[np.uint8] | None = None
    core: NDArray[np.uint8] | None = None
    border: NDArray[np.uint8] | None = None

    @property
    def maps(self) -> dict[str, NDArray[np.uint8]]:
        """Return the maps that there are, by the names in `MAPS` and in their order."""
        return {name: values for name in MAPS if (values := getattr(self, name)) is not None}

    @property
    def target(self) -> NDArray[np.uint8]:
        """Return the training target: mask, (H, W) uint8, or mask and maps, (H, W, C)."""
        maps = self.maps
        return np.dstack([self.mask, *maps.values()]) if maps else self.mask

    def enlarge(self, factor: float) -> Example:
        """Return the example resized to sides `factor` times as long."""
        if factor == 1:
            return self
        size_wh = [max(round(side * factor), 1) for side in self.mask.shape[::-1]]
        smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR

        def resize(values: NDArray[np.uint8], interpolation: int) -> NDArray[np.uint8]:
            return np.asarray(cv2.resize(values, size_wh, interpolation=interpolation), np.uint8)

        return Example(
            image=resize(self.image, smooth),
            mask=resize(self.mask, cv2.INTER_NEAREST_EXACT),
            **{name: resize(values, smooth) for name, values in self.maps.items()},
        )


class ExampleStream:
    """Batches of augmented examples, each a pure function of the step.

    Args:
        examples: Examples, each drawn once per epoch.
        settings: Settings of stage 2.
    """

    def __init__(self, examples: Sequence[Example], settings: SegmenterSettings) -> None:
        self._examples = examples
        self._settings = settings

    def __len__(self) -> int:
        """Return the number of examples in an epoch."""
        return len(self._examples)

    def draw(self, step: int, places: slice = WHOLE) -> Batch:
        """Draw the batch of a step, or the part of it at `places`."""
        fit = self._settings.fit
        chosen = enumerate(shuffled_indices(len(self._examples), fit.batch, step, fit.seed))
        drawn = [
            self._augment(index, np.random.default_rng((fit.seed, step, i)))
            for i, index in list(chosen)[places]
        ]
        images, masks = (np.stack(part) for part in zip(*drawn, strict=True))
        inputs = to_images(torch.from_numpy(images)).contiguous(memory_format=torch.channels_last)
        return Batch(images=inputs, labels=torch.from_numpy(masks.astype(np.int64)), step=step)

    def _augment(self, index: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        augment = self._settings.augment
        image, mask = self._place(index, augment, rng)
        if rng.random() < augment.mosaic:
            others = [self._place(int(i), augment, rng) for i in rng.integers(len(self._examples), size=3)]
            image, mask = put_together([image, *(o[0] for o in others)], [mask, *(o[1] for o in others)], rng)
        image = change_stain(image, augment, rng)
        return lay_glass(image, mask, rng) if rng.random() < augment.glass else (image, mask)

    def _place(
        self, index: int, augment: AugmentSettings, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        example = self._examples[index]
        return place_randomly(example.image, example.target, self._settings.crop, augment, rng)


def score_segmenter(network: nn.Module, examples: Sequence[Example], precision: str) -> dict[str, float]:
    """Compute mIoU and F1 in percent of examples, segmented as in deployment at one scale."""
    backend = TorchBackend(network, precision=precision)
    confusion = Confusion.empty()
    for example in examples:
        predicted = mark_gland(segment_image(example.image, backend))
        valid = example.mask != IGNORED
        confusion += Confusion.of(predicted[valid], example.mask[valid] == 1)
    return {"miou": round(100 * confusion.miou, 3), "f1": round(100 * confusion.f1, 3)}
