"""MLPS: progressive dropout attention, and pseudo masks of three layers (Han et al. 2022).

Without the pixels that tell it most, a classifier must learn the rest of a gland: the dropout takes away
features where the class map is near its maximum, more of them as the training proceeds. Grad-CAM then maps
three layers, and the segmenter learns their three pseudo masks with the weights 0.2, 0.2 and 0.6.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import grad
from torch.nn.functional import interpolate, relu

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.cam import ClassActivationMaps, rectify
from glandseg.training.weak.feng import FUSED_STAGES

LAYER_WEIGHTS = (0.2, 0.2, 0.6)  # of the last three stages
EPOCHS, FIRST_EPOCH = 20, 3  # of the paper's training, and the one with which the dropout starts
DECAY, LOWEST = 0.98, 0.65  # of the dropout's threshold by epoch


class MLPS(ClassActivationMaps):
    """Class map trained with progressive dropout attention, and Grad-CAM of three stages."""

    is_normalized = True
    layer_weights = LAYER_WEIGHTS

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        self._fit = settings.fit

    def compute_loss(self, batch: Batch) -> Tensor:
        """Compute the binary cross entropy of features without the most telling pixels."""
        features = self.extract(batch.images)
        epoch = EPOCHS * batch.step // self._fit.count_steps()
        if epoch >= FIRST_EPOCH:
            features = drop_peaks(features, self.class_map(features), max(DECAY**epoch, LOWEST))
        return compute_presence_loss(widen(self.class_map(features)).mean((2, 3)), batch.labels)

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the weighted sum of the layers' maps, (N, 2, h, w) float in 0..1."""
        layers = zip(self.layer_weights, self.map_layers(images), strict=True)
        return torch.stack([weight * layer for weight, layer in layers]).sum(0)

    def map_layers(self, images: Tensor) -> list[Tensor]:
        """Compute the rectified Grad-CAM of three layers, each (N, 2, h, w) float in 0..1."""
        with torch.inference_mode(False), torch.enable_grad():
            stages = self.encoder(self.encoder.normalise(images.clone().requires_grad_()))[-FUSED_STAGES:]
            class_map = widen(self.class_map(self.fuse(stages)))
            by_class = [explain(class_map[:, label].mean(), stages) for label in range(CLASSES)]
            layers = [rectify(torch.stack(layer, 1)) for layer in zip(*by_class, strict=True)]
            size = class_map.shape[2:]
            return [interpolate(layer, size, mode="bilinear").detach() for layer in layers]


def drop_peaks(features: Tensor, class_map: Tensor, threshold: float) -> Tensor:
    """Multiply features by the class maps without their peaks, averaged over classes.

    Args:
        features: (N, C, h, w) float.
        class_map: (N, 2, h, w) float, signed.
        threshold: Share of a map's maximum above which its pixels are taken away, 0 to 1.
    """
    positive = relu(class_map)
    kept = positive * (positive <= threshold * positive.amax(dim=(2, 3), keepdim=True))
    return features * kept.mean(1, keepdim=True)


def explain(logit: Tensor, stages: list[Tensor]) -> list[Tensor]:
    """Compute Grad-CAM of a logit at each of some layers: their channels, weighed by their mean gradients.

    Args:
        logit: Scalar, the class's logits averaged over images.
        stages: Layers, each (N, C, h, w) float.

    Returns:
        (N, h, w) float for each layer.
    """
    gradients = grad(logit, stages, retain_graph=True)
    return [
        (widen(stage) * widen(gradient).mean((2, 3), keepdim=True)).sum(1)
        for stage, gradient in zip(stages, gradients, strict=True)
    ]
