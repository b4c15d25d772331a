"""Adv-CAM: activation maps of images that climb towards their class (Lee et al. 2021).

An adversarial attack changes an image so that its class is lost; climbing changes it the other way. Pixels
that hardly counted then count more and more, and the sum of the maps on the way covers more of a gland. The
classifier is the plain one; only its maps differ.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.precision import widen
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.cam import TINY, ClassActivationMaps, rectify

STEP = 0.08  # of normalised pixel values, for the largest gradient of an image
RESTRAINT = 7.0  # weight of the change of what is discriminative already
DISCRIMINATIVE = 0.5  # of the rectified map


class AdvCAM(ClassActivationMaps):
    """Class maps summed over `settings.climbs` steps of anti-adversarial climbing for each class."""

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        self.climbs = settings.climbs

    def map_classes(self, images: Tensor) -> Tensor:
        """Compute the maps summed while climbing, (N, 2, h, w) float, at least 0."""
        with torch.inference_mode(False), torch.enable_grad():
            normalised = self.encoder.normalise(images.clone())  # a copy can have gradients
            return torch.stack([self.climb(normalised, label) for label in range(CLASSES)], 1).detach()

    def climb(self, normalised: Tensor, label: int) -> Tensor:
        """Sum a class's rectified map over the steps (Eq. 4 to 7), (N, h, w) float.

        Args:
            normalised: (N, 3, H, W) float, as of `Encoder.normalise`.
            label: Class.
        """
        low, high = (limit(normalised, (1, 2, 3), keepdim=True) for limit in (torch.amin, torch.amax))
        total, first = torch.zeros(()), torch.zeros(())
        climbed = normalised
        for number in range(self.climbs):
            climbed = climbed.detach().requires_grad_()
            class_map = widen(self.class_map(self.fuse(self.encoder(climbed))))
            own = relu(class_map[:, label])
            first = own.detach() if number == 0 else first
            total = total + own.detach()
            if number == self.climbs - 1:
                break
            logits = class_map.mean((2, 3))
            held = rectify(class_map.detach())[:, label] > DISCRIMINATIVE
            goal = 2 * logits[:, label].sum() - logits.sum() - RESTRAINT * ((own - first).abs() * held).sum()
            [gradient] = torch.autograd.grad(goal, climbed)
            largest = gradient.abs().amax(dim=(1, 2, 3), keepdim=True) + TINY**2
            climbed = (climbed + STEP * gradient / largest).clamp(low, high)
        return total
