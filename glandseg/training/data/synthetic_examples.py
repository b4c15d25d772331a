"""Synthetic tissue without glands, as negative examples: data sets of glands show little else."""

from __future__ import annotations

import numpy as np

from glandseg.synthetic import Stain, TileKind, draw_tile
from glandseg.training.segmenter import Example

SIDE_PX = 288
KINDS: tuple[TileKind, ...] = ("muscle", "muscle", "stroma")


def count_examples(images: int, share: float) -> int:
    """Return how many examples go with a number of images, to be a share, below 1, of all."""
    return round(images * share / (1 - share))


def draw_examples(count: int, um_per_px: float, seed: int) -> list[Example]:
    """Draw examples of muscle, collagen and stroma, each in stains of its own.

    Args:
        count: Number of examples.
        um_per_px: Microns per pixel of the training images.
        seed: Random seed; the same seed draws the same examples.
    """
    rng = np.random.default_rng(seed)
    examples = []
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        image, glands = draw_tile(SIDE_PX, um_per_px, int(rng.integers(1 << 31)), kind, draw_stain(rng))
        examples.append(Example(image=image, mask=glands.astype(np.uint8)))
    return examples


def draw_stain(rng: np.random.Generator) -> Stain:
    """Draw random strengths of a laboratory's stains."""
    return Stain(hematoxylin=float(rng.uniform(0.6, 1.4)), eosin=float(rng.uniform(0.5, 1.6)))
