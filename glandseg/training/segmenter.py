"""Stage 2: examples, batches, loss and scores of a segmenter that learns from outlines or pseudo masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

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
from glandseg.training.losses import weighted_cross_entropy
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.settings import SegmenterSettings
from glandseg.training.torch_backend import TorchBackend, to_images


@dataclass(frozen=True, kw_only=True)
class Example:
    """An image and its labels, in memory.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8: 0 non-gland, 1 gland, 255 ignored.
        soft: (H, W) uint8: a teacher's probability of gland, 255 for certainty. In a stream, all examples
            have one or none has.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    soft: NDArray[np.uint8] | None = None

    @property
    def target(self) -> NDArray[np.uint8]:
        """Return the training target: mask, (H, W) uint8, or mask and teacher's probability, (H, W, 2)."""
        return self.mask if self.soft is None else np.dstack([self.mask, self.soft])

    def enlarge(self, factor: float) -> Example:
        """Return the example resized to sides `factor` times as long."""
        if factor == 1:
            return self
        size_wh = [max(round(side * factor), 1) for side in self.mask.shape[::-1]]
        smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        image = cv2.resize(self.image, size_wh, interpolation=smooth)
        mask = cv2.resize(self.mask, size_wh, interpolation=cv2.INTER_NEAREST_EXACT)
        soft = None if self.soft is None else cv2.resize(self.soft, size_wh, interpolation=smooth)
        return Example(
            image=np.asarray(image, np.uint8),
            mask=np.asarray(mask, np.uint8),
            soft=None if soft is None else np.asarray(soft, np.uint8),
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


def segmentation_loss(
    network: nn.Module, batch: Batch, auxiliary: float, scheme: str = "plain", warmup_plain: int = 0
) -> Tensor:
    """Compute the weighted cross entropy of both heads.

    Args:
        network: Network, a `Segmenter`.
        batch: Batch with labels (N, S, S).
        auxiliary: Weight of the auxiliary head's loss.
        scheme: Pixel weights, a key of `SCHEMES`.
        warmup_plain: Steps before the scheme starts; they use "plain".
    """
    scheme = "plain" if batch.step < warmup_plain else scheme
    return sum_heads(
        network,
        batch.images,
        auxiliary,
        lambda logits: weighted_cross_entropy(logits, batch.labels, scheme, IGNORED),
    )


def sum_heads(
    network: nn.Module, images: Tensor, auxiliary: float, compute_head: Callable[[Tensor], Tensor]
) -> Tensor:
    """Compute the loss of the main head plus `auxiliary` times that of the other.

    Args:
        network: Network, a `Segmenter`.
        images: (N, 3, S, S) float32 RGB in 0..1.
        auxiliary: Weight of the auxiliary head's loss.
        compute_head: Called with a head's logits, (N, classes, S, S); returns its loss.
    """
    if not isinstance(network, Segmenter):
        raise TypeError(f"network: a Segmenter expected. Received: {type(network).__name__}")
    main, other = map(compute_head, network.forward_both(images))
    return main + auxiliary * other


def score_segmenter(network: nn.Module, examples: Sequence[Example], precision: str) -> dict[str, float]:
    """Compute mIoU and F1 in percent of examples, segmented as in deployment at one scale."""
    backend = TorchBackend(network, precision=precision)
    confusion = Confusion.empty()
    for example in examples:
        predicted = segment_image(example.image, backend) >= 128
        valid = example.mask != IGNORED
        confusion += Confusion.of(predicted[valid], example.mask[valid] == 1)
    return {"miou": round(100 * confusion.miou, 3), "f1": round(100 * confusion.f1, 3)}
