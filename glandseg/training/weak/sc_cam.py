"""SC-CAM: activation maps of a classifier that also tells sub-categories apart (Chang et al. 2020).

A classifier that only needs to say "gland" finds what all glands share. Clusters of its own features divide
each class, and a second head must name the cluster, too; so the features keep what distinguishes kinds of
glands. Clusters and classifier improve in turns: the first round knows classes alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.cam import ClassActivationMaps
from glandseg.training.weak.method import run_on_patches

CLUSTERS = 10  # sub-categories of each class
WEIGHT = 5.0  # of the sub-categories' loss


class SCCAM(ClassActivationMaps):
    """Class map of a classifier whose second head names sub-categories."""

    rounds = 3

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        self._settings = settings
        self.categories = nn.Conv2d(self.class_map.in_channels, CLASSES * CLUSTERS, 1, bias=False)
        nn.init.xavier_uniform_(self.categories.weight)

    def begin_round(
        self, number: int, patches: Sequence[Patch], images: Sequence[NDArray[np.uint8]]
    ) -> NDArray[np.float32]:
        """Return presence, (P, 2), from the second round on with that of each sub-category, (P, 2 + 20)."""
        present = super().begin_round(number, patches, images)
        if number == 1:
            return present
        features = run_on_patches(
            self, patches, images, self._settings, lambda batch: widen(self.extract(batch)).mean((2, 3))
        )
        clusters = [
            cluster(features, present[:, label] > 0, self._settings.fit.seed) for label in range(CLASSES)
        ]
        return np.concatenate([present, *clusters], 1)

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute the classes' loss, plus five times that of sub-categories if there are any (Eq. 4)."""
        pooled = self.extract(batch.images).mean((2, 3), keepdim=True)
        present, categories = batch.labels[:, :CLASSES], batch.labels[:, CLASSES:]
        loss = compute_presence_loss(self.class_map(pooled).flatten(1), present)
        if not categories.shape[1]:
            return loss
        return loss + WEIGHT * compute_presence_loss(self.categories(pooled).flatten(1), categories)


def cluster(features: NDArray[np.float32], chosen: NDArray[np.bool_], seed: int) -> NDArray[np.float32]:
    """Divide the chosen patches into `CLUSTERS` by k-means.

    Args:
        features: (P, C).
        chosen: (P,) bool.
        seed: Random seed of the first centers.

    Returns:
        (P, CLUSTERS) float32: 1 for a chosen patch's cluster, else 0.
    """
    from scipy.cluster.vq import kmeans2

    found = np.zeros((len(features), CLUSTERS), np.float32)
    if chosen.sum() >= CLUSTERS:
        _, labels = kmeans2(features[chosen].astype(np.float64), CLUSTERS, minit="++", seed=seed)
        found[np.flatnonzero(chosen), labels] = 1
    return found
