"""Stage 1: a classifier that learns which tissue a patch holds, and so where it is."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from glandseg.training.data.augment import change_stain, place_randomly
from glandseg.training.data.patches import Patch
from glandseg.training.loop.sampling import WHOLE, Batch, repeat_rare, shuffled_indices
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.settings import ClassifierSettings
from glandseg.training.torch_backend import autocast, evaluating, move_beside, to_images
from glandseg.training.weak.attention import build_attention
from glandseg.training.weak.pooling import build_pooling

CLASSES = 2  # non-gland, gland
FUSED_STAGES = 3


class Classifier(nn.Module):
    """Class maps from an encoder's last three stages, pooled to one score a class (OEEM Eq. 1, Feng Fig. 2).

    Args:
        encoder: gives the stages, the paper's 4, 5 and 6.
        attention: of each of the three, a kind that `build_attention` knows.
        pooling: "gap" (Feng Eq. 3) or "mpfp" (Feng Eq. 5-9).
        sizes: of mpfp's levels, coarse to fine.
        fusion: of mpfp's levels.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        attention: Sequence[str],
        pooling: str,
        sizes: Sequence[int] = (2, 4, 8, 16),
        fusion: str = "sign-preserving",
    ) -> None:
        super().__init__()
        self.encoder = encoder
        channels = encoder.channels[-FUSED_STAGES:]
        self.attentions = nn.ModuleList(
            build_attention(kind, width) for kind, width in zip(attention, channels, strict=True)
        )
        self.class_map = nn.Conv2d(sum(channels), CLASSES, 1, bias=False)
        nn.init.xavier_uniform_(self.class_map.weight)
        self.pooling = build_pooling(pooling, CLASSES, sizes, fusion)

    def map_classes(self, images: Tensor) -> Tensor:
        """Give the signed class map F.

        Args:
            images: (N, 3, H, W) float RGB in 0..1.

        Returns:
            (N, 2, h, w) float at the encoder's output stride.
        """
        stages = self.encoder(self.encoder.normalise(images))[-FUSED_STAGES:]
        attended = [attend(stage) for attend, stage in zip(self.attentions, stages, strict=True)]
        size = attended[-1].shape[2:]
        fused = [F.interpolate(stage, size, mode="bilinear", align_corners=False) for stage in attended]
        out: Tensor = self.class_map(torch.cat(fused, 1))
        return out

    def forward(self, images: Tensor) -> Tensor:
        """Give one logit a class, (N, 2), for (N, 3, H, W) float RGB in 0..1."""
        logits: Tensor = self.pooling(self.map_classes(images))[0]
        return logits


class PatchStream:
    """Batches of changed patches, each a pure function of the step.

    Args:
        patches: to draw from.
        images: that the patches are cut from.
        settings: input size, changes, batch and seed.
    """

    def __init__(
        self, patches: Sequence[Patch], images: Sequence[NDArray[np.uint8]], settings: ClassifierSettings
    ) -> None:
        drawn = repeat_rare([patch.present for patch in patches]) if settings.balance else range(len(patches))
        self._patches = [patches[index] for index in drawn]
        self._images, self._settings = images, settings

    def __len__(self) -> int:
        """Count the images of an epoch."""
        return len(self._patches)

    def draw(self, step: int, places: slice = WHOLE) -> Batch:
        """Draw the batch of a step, or the patches at some places of it.

        Returns:
            Images (N, 3, S, S), labels (N, 2) float.
        """
        fit = self._settings.fit
        chosen = list(enumerate(shuffled_indices(len(self._patches), fit.batch, step, fit.seed)))[places]
        drawn = [self._change(index, np.random.default_rng((fit.seed, step, i))) for i, index in chosen]
        present = torch.tensor([self._patches[index].present for _, index in chosen], dtype=torch.float32)
        return Batch(images=to_images(torch.from_numpy(np.stack(drawn))), labels=present, step=step)

    def _change(self, index: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        patch, settings = self._patches[index], self._settings
        image = enlarge(patch.cut(self._images[patch.sample]), settings.input)
        blank = np.zeros(image.shape[:2], np.uint8)
        return change_stain(
            place_randomly(image, blank, settings.input, settings.augment, rng)[0], settings.augment, rng
        )


def enlarge(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Resize a patch, (H, W, 3) uint8 RGB, to (side, side, 3)."""
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)


def classification_loss(network: nn.Module, batch: Batch) -> Tensor:
    """Give the mean binary cross entropy over classes."""
    return compute_presence_loss(network(batch.images), batch.labels)


def score_classifier(
    network: nn.Module,
    patches: Sequence[Patch],
    images: Sequence[NDArray[np.uint8]],
    settings: ClassifierSettings,
) -> dict[str, float]:
    """Score a classifier by balanced accuracy: in percent, the mean over classes and each class.

    Plain accuracy means nothing here: nearly every patch holds both classes.
    """
    scores = []
    for first in range(0, len(patches), settings.fit.batch):
        part = patches[first : first + settings.fit.batch]
        cut = np.stack([enlarge(patch.cut(images[patch.sample]), settings.input) for patch in part])
        with evaluating(network), autocast(enabled=settings.fit.precision == "bfloat16"):
            scores.append(network(to_images(move_beside(network, cut))).float().cpu().numpy())
    predicted = np.concatenate(scores) > 0
    present = np.array([patch.present for patch in patches])
    stroma, gland = (_balance(predicted[:, c], present[:, c]) for c in range(CLASSES))
    return {"balanced": round((stroma + gland) / 2, 3), "non_gland": stroma, "gland": gland}


def _balance(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    sides = [
        float((predicted[truth == side] == side).mean()) for side in (True, False) if (truth == side).any()
    ]
    return round(100 * float(np.mean(sides)), 3)
