"""The batches of stage 1: augmented patches with the presence of each class."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.augment import change_stain, place_randomly
from glandseg.training.data.patches import Patch
from glandseg.training.loop.sampling import WHOLE, Batch, repeat_rare, shuffled_indices
from glandseg.training.torch_backend import to_images


class PatchStream:
    """Batches of augmented patches, each a pure function of the step.

    Args:
        patches: Patches to draw from.
        images: Images that the patches are cut from.
        settings: Settings of stage 1.
        targets: (P, T) float32, what is learned of each patch; None means the presence of the classes.
    """

    def __init__(
        self,
        patches: Sequence[Patch],
        images: Sequence[NDArray[np.uint8]],
        settings: ClassifierSettings,
        targets: NDArray[np.float32] | None = None,
    ) -> None:
        present = np.array([patch.present for patch in patches], np.float32)
        drawn = repeat_rare([patch.present for patch in patches]) if settings.balance else range(len(patches))
        self._patches = [patches[index] for index in drawn]
        self._targets = (present if targets is None else targets)[list(drawn)]
        self._images, self._settings = images, settings

    def __len__(self) -> int:
        """Return the number of patches in an epoch."""
        return len(self._patches)

    def draw(self, step: int, places: slice = WHOLE) -> Batch:
        """Draw the batch of a step, or the part of it at `places`.

        Returns:
            Images (N, 3, S, S), labels (N, T) float.
        """
        fit = self._settings.fit
        chosen = list(enumerate(shuffled_indices(len(self._patches), fit.batch, step, fit.seed)))[places]
        drawn = [self._augment(index, np.random.default_rng((fit.seed, step, i))) for i, index in chosen]
        labels = torch.from_numpy(self._targets[[index for _, index in chosen]])
        return Batch(images=to_images(torch.from_numpy(np.stack(drawn))), labels=labels, step=step)

    def _augment(self, index: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        patch, settings = self._patches[index], self._settings
        image = enlarge(patch.cut(self._images[patch.sample]), settings.input)
        blank = np.zeros(image.shape[:2], np.uint8)
        return change_stain(
            place_randomly(image, blank, settings.input, settings.augment, rng)[0], settings.augment, rng
        )


def enlarge(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize a patch, (H, W, 3) uint8 RGB, to (side, side, 3)."""
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
