"""What stage 1 knows of a weakly supervised method: a network, its loss, its activation maps, its score.

Such methods differ in how patch labels become activation maps. What precedes that (patches, augmentation,
the fit) and what follows (pseudo masks, stage 2) is the same for all, so they meet here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES, run_batches
from glandseg.training.weak.patch_stream import enlarge


class WeakMethod(nn.Module, ABC):
    """A classifier of patches whose activation maps show where each class is.

    Args:
        encoder: Encoder, randomly initialised.
        settings: Settings of stage 1, its fit in steps.

    Attributes:
        rounds: Number of fits, one after the other; each but the first starts from the weights of the one
            before.
        is_normalized: Whether maps are in 0..1 as they come, and both classes' at one scale: dividing each by
            its maximum would make a class that is hardly anywhere as strong as the other.
        layer_weights: Weights of the layers that make a pseudo mask each; stage 2 learns their mean.
    """

    rounds = 1
    is_normalized = False
    layer_weights: tuple[float, ...] = (1.0,)

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__()
        self.encoder = encoder

    def begin_round(
        self, number: int, patches: Sequence[Patch], images: Sequence[NDArray[np.uint8]]
    ) -> NDArray[np.float32]:
        """Begin a round, and return what it learns of each patch: by default the presence of the classes.

        Args:
            number: Round, from 1.
            patches: Patches to learn from.
            images: Images that they are cut from.

        Returns:
            (P, 2) or wider float32, a batch's labels.
        """
        return np.array([patch.present for patch in patches], np.float32)

    def list_encoders(self) -> list[Encoder]:
        """Return the encoders, which pretrained weights are loaded into: the only one."""
        return [self.encoder]

    @abstractmethod
    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the activation maps, (N, 2, h, w) float, of (N, 3, H, W) float RGB in 0..1."""

    def map_layers(self, images: Tensor) -> list[Tensor]:
        """Compute each layer's activation maps, with shapes as of `map_classes`: by default these alone."""
        return [self.map_classes(images)]

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Compute one logit per class, (N, 2) float, from (N, 3, H, W) float RGB in 0..1."""

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute a batch's scalar loss: by default the mean binary cross entropy over classes."""
        return compute_presence_loss(self(batch.images), batch.labels)

    def score(
        self, patches: Sequence[Patch], images: Sequence[NDArray[np.uint8]], settings: ClassifierSettings
    ) -> dict[str, float]:
        """Score the classifier on patches: by default by balanced accuracy.

        Returns:
            Scores by name; the fit keeps the weights with the highest first one.
        """
        return score_presence(self, patches, images, settings)


def score_presence(
    network: nn.Module,
    patches: Sequence[Patch],
    images: Sequence[NDArray[np.uint8]],
    settings: ClassifierSettings,
) -> dict[str, float]:
    """Compute the balanced accuracy in percent: the mean over classes, then each class.

    Plain accuracy means nothing here: nearly every patch holds both classes.
    """
    scores = run_on_patches(network, patches, images, settings, network)
    predicted = scores > 0
    present = np.array([patch.present for patch in patches])
    non_gland, gland = (_balance(predicted[:, c], present[:, c]) for c in range(CLASSES))
    return {"balanced": round((non_gland + gland) / 2, 3), "non_gland": non_gland, "gland": gland}


def run_on_patches(
    network: nn.Module,
    patches: Sequence[Patch],
    images: Sequence[NDArray[np.uint8]],
    settings: ClassifierSettings,
    compute: Callable[[Tensor], Tensor],
) -> NDArray[np.float32]:
    """Evaluate something on patches without augmentation; return (P, ...) float32, an item for each."""
    cut = (enlarge(patch.cut(images[patch.sample]), settings.input) for patch in patches)
    batches = run_batches(
        network,
        cut,
        settings.fit.batch,
        lambda batch: [compute(batch)],
        bfloat16=settings.fit.precision == "bfloat16",
    )
    return np.concatenate([found for [found] in batches])


def _balance(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    sides = [
        float((predicted[truth == side] == side).mean()) for side in (True, False) if (truth == side).any()
    ]
    return round(100 * float(np.mean(sides)), 3)
