"""ReCAM: class activation maps reactivated by a softmax between the classes (Chen et al. 2022).

Binary cross entropy lets a pixel serve several classes that occur together, as gland and non-gland do in most
patches. A second classifier sees the features of one class's map at a time, and must tell by softmax which
class it was: what it counts as evidence then belongs to one class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.cam import ClassActivationMaps, rectify


class ReCAM(ClassActivationMaps):
    """Class map of the second classifier, the paper's w''.

    The released code multiplies the weights of both, by which evidence against a class, negative in both,
    turns into evidence for it; with two classes that is half of all evidence.
    """

    rounds = 2  # the second one reactivates the converged maps of the first

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        self._round = 1
        self.reactivated = nn.Conv2d(self.class_map.in_channels, CLASSES, 1, bias=False)
        nn.init.xavier_uniform_(self.reactivated.weight)

    def begin_round(
        self, number: int, patches: Sequence[Patch], images: Sequence[NDArray[np.uint8]]
    ) -> NDArray[np.float32]:
        """Note the round, and return the presence of the classes, (P, 2)."""
        self._round = number
        return super().begin_round(number, patches, images)

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the reactivated class map (Eq. 6), (N, 2, h, w) float.

        A softmax does not see what all classes share, which training therefore leaves as it happens to be;
        the maps are without it.
        """
        reactivated: Tensor = self.reactivated(self.extract(images))
        return reactivated - reactivated.mean(1, keepdim=True)

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute binary cross entropy, in the second round plus softmax cross entropy (Eq. 1, 4 and 5)."""
        features = self.extract(batch.images)
        class_map = self.class_map(features)
        binary = compute_presence_loss(widen(class_map).mean((2, 3)), batch.labels)
        if self._round == 1:
            return binary
        return binary + self.compute_softmax_loss(features, class_map, batch.labels)

    def compute_softmax_loss(self, features: Tensor, class_map: Tensor, labels: Tensor) -> Tensor:
        """Compute the mean over images of the mean cross entropy over their classes (Eq. 3 and 4).

        Args:
            features: (N, C, h, w) float.
            class_map: (N, 2, h, w) float, signed.
            labels: (N, 2) float, 1 for present.
        """
        of_class = torch.einsum("nkhw,nchw->nkc", rectify(class_map), widen(features))
        of_class = of_class / (features.shape[2] * features.shape[3])  # (N, 2, C), Eq. 3 pooled
        logits = conv2d(of_class.flatten(0, 1)[..., None, None], self.reactivated.weight)[..., 0, 0]
        right = logits.log_softmax(1).view(-1, CLASSES, CLASSES).diagonal(dim1=1, dim2=2)  # (N, 2)
        return -((right * labels).sum(1) / labels.sum(1).clamp(min=1)).mean()
