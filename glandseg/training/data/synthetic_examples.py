"""Synthetic tissue without glands, as negative examples: data sets of glands show little else."""

from __future__ import annotations

import numpy as np

from glandseg.synthetic import Stain, TileKind, draw_tile
from glandseg.training.data.examples import fit_example
from glandseg.training.segmenter import Example
from glandseg.training.settings import SegmenterSettings

SIDE_PX = 288
KINDS: tuple[TileKind, ...] = ("muscle", "muscle", "stroma")


def draw_examples(count: int, um_per_px: float, seed: int, settings: SegmenterSettings) -> list[Example]:
    """Draw examples of muscle, collagen and stroma, each in stains of its own.

    Args:
        count: Number of examples.
        um_per_px: Microns per pixel of the training images.
        seed: Random seed; the same seed draws the same examples.
        settings: Settings of stage 2.
    """
    rng = np.random.default_rng(seed)
    examples = []
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        image, glands = draw_tile(SIDE_PX, um_per_px, int(rng.integers(1 << 31)), kind, draw_stain(rng))
        example = Example(image=image, mask=glands.astype(np.uint8))
        examples.append(fit_example(example, glands.astype(np.int32), um_per_px, settings))
    return examples


def draw_stain(rng: np.random.Generator) -> Stain:
    """Draw random strengths of a laboratory's stains."""
    return Stain(hematoxylin=float(rng.uniform(0.6, 1.4)), eosin=float(rng.uniform(0.5, 1.6)))
