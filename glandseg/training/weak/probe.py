"""Evidence of a probe: a linear map from a frozen encoder's features, fitted to label-pure pixels.

Where patches lack a class, their pixels are of the other, so patch labels are pixel labels over a good part
of the images. A whole network fitted to these would learn more than what makes a gland; a linear map of
pretrained features has too few weights for that, and needs seconds in place of hours.
It is applied at each stage's own resolution, and the results are enlarged and summed. That equals the
linear map of the enlarged, concatenated features, in a thousandth of their memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from glandseg.training.data.augment import IGNORED
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.networks.encoder import Encoder
from glandseg.training.torch_backend import CLASSES, evaluating, move_beside, to_images
from glandseg.training.weak.evidence import cut_patches
from glandseg.training.weak.label_rules import decide_by_labels

STAGES = 3  # of the encoder, the last ones
MAX_PIXELS = 60_000  # that a map is fitted to: they bound its memory
L2 = 1e-3
MAX_ITERATIONS = 100


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A linear map of an encoder's last stages.

    Attributes:
        encoder: Encoder with pretrained weights.
        weight: (channels of the stages,) float32.
        bias: Scalar float32.
    """

    encoder: Encoder
    weight: Tensor
    bias: Tensor

    def map_patches(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[NDArray[np.float32]]:
        """Compute the log odds of gland of each patch, as `Evidence` says."""
        stages = compute_stages(self.encoder, image)
        weights = torch.split(self.weight, [stage.shape[1] for stage in stages])
        log_odds = self.bias.cpu().numpy() + np.zeros(image.shape[:2], np.float32)
        for stage, weight in zip(stages, weights, strict=True):
            scores = F.conv2d(stage, weight[None, :, None, None])
            enlarged = F.interpolate(scores, image.shape[:2], mode="bilinear", align_corners=False)
            log_odds += enlarged[0, 0].cpu().numpy()
        return cut_patches(log_odds, patches)


def fit_probe(
    encoder: Encoder, images: Sequence[NDArray[np.uint8]], patches: Sequence[Patch], seed: int
) -> Probe:
    """Fit a probe to random label-pure pixels of images, as many of each image and class as there are.

    Minimises the mean binary cross entropy, both classes weighing alike, plus `L2` times the squared weights
    of standardised features.

    Args:
        encoder: Encoder with pretrained weights; it stays as it is.
        images: Images, (H, W, 3) uint8 RGB.
        patches: Patches of these images.
        seed: Random seed of the choice of pixels.

    Raises:
        ValueError: If the labels decide no pixel of one of the classes.
    """
    features, labels = _draw_pixels(encoder, images, patches, np.random.default_rng(seed))
    share = labels.mean()
    if not 0 < share < 1:
        raise ValueError("patches: some without gland and some without non-gland expected")
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    features = (features - mean) / std
    balance = torch.where(labels > 0, 0.5 / share, 0.5 / (1 - share))
    weight = torch.zeros(features.shape[1], device=features.device, requires_grad=True)
    bias = torch.zeros((), device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe")

    def compute_loss() -> Tensor:
        optimizer.zero_grad()
        entropy = F.binary_cross_entropy_with_logits(features @ weight + bias, labels, balance)
        loss = entropy + L2 * (weight**2).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(compute_loss)  # type: ignore[no-untyped-call]
    weight = (weight / std).detach()
    return Probe(encoder=encoder, weight=weight, bias=bias.detach() - weight @ mean)


def compute_stages(encoder: Encoder, image: NDArray[np.uint8]) -> list[Tensor]:
    """Compute the maps of an encoder's last stages of an image, (1, C, h, w) float32 each."""
    with evaluating(encoder):
        images = to_images(move_beside(encoder, image[None]))
        stages: list[Tensor] = encoder(encoder.normalise(images))
    return stages[-STAGES:]


def _draw_pixels(
    encoder: Encoder, images: Sequence[NDArray[np.uint8]], patches: Sequence[Patch], rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Draw features (N, C) float32 and labels (N,) float32 of label-pure pixels."""
    features, labels = [], []
    count = max(MAX_PIXELS // (CLASSES * len(images)), 1)
    for index, image in enumerate(images):
        decided = decide_by_labels(image.shape, [patch for patch in patches if patch.sample == index])
        if (decided == IGNORED).all():
            continue
        stages = compute_stages(encoder, image)
        for label in range(CLASSES):
            places = np.flatnonzero(decided == label)
            if places.size:
                drawn = rng.choice(places, min(count, places.size), replace=False)
                features.append(_sample_stages(stages, drawn, image.shape))
                labels.append(torch.full((drawn.size,), float(label), device=stages[0].device))
    if not features:
        raise ValueError("patches: some without gland and some without non-gland expected")
    return torch.cat(features), torch.cat(labels)


def _sample_stages(stages: Sequence[Tensor], places: NDArray[np.int64], shape: tuple[int, ...]) -> Tensor:
    """Interpolate the stages' features at flat pixel indices of an image of `shape`: (N, C) float32."""
    y, x = np.divmod(places, shape[1])
    centres = np.stack([(x + 0.5) / shape[1], (y + 0.5) / shape[0]], axis=1)
    grid = torch.from_numpy(2 * centres - 1).to(stages[0])[None, None]  # grid_sample's range is -1 to 1
    sampled = [F.grid_sample(s, grid, padding_mode="border", align_corners=False) for s in stages]
    return torch.cat([each[0, :, 0].T for each in sampled], dim=1)
