"""Drawn tissue without glands, to learn what is none: data sets of glands show little else."""

from __future__ import annotations

import numpy as np

from glandseg.synthetic import Stain, TileKind, draw_tile
from glandseg.training.segmenter import Example

SIDE_PX = 288
KINDS: tuple[TileKind, ...] = ("muscle", "muscle", "stroma")


def draw_examples(count: int, um_per_px: float, seed: int) -> list[Example]:
    """Draw examples of muscle, collagen and stroma, each in stains of its own; the same each time.

    Args:
        count: how many.
        um_per_px: of the images learned from.
        seed: of the drawings.
    """
    rng = np.random.default_rng(seed)
    examples = []
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        image, glands = draw_tile(SIDE_PX, um_per_px, int(rng.integers(1 << 31)), kind, draw_stain(rng))
        examples.append(Example(image=image, mask=glands.astype(np.uint8)))
    return examples


def draw_stain(rng: np.random.Generator) -> Stain:
    """Draw the strengths of a laboratory's stains."""
    return Stain(hematoxylin=float(rng.uniform(0.6, 1.4)), eosin=float(rng.uniform(0.5, 1.6)))
