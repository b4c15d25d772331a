"""Synthetic tissue for what data sets of glands show little of: no glands at all, and glands back to back."""

from __future__ import annotations

import numpy as np

from glandseg.synthetic import Stain, TileKind, draw_crowded_tile, draw_tile
from glandseg.training.data.examples import fit_example
from glandseg.training.segmenter import Example
from glandseg.training.segmenter_settings import SegmenterSettings

SIDE_PX = 288
KINDS: tuple[TileKind, ...] = ("muscle", "lymphoid", "stroma")
KINDS_WITH_CORE: tuple[TileKind | None, ...] = (
    "muscle",
    None,
    "lymphoid",
    None,
    "stroma",
    None,
)  # None: crowded glands


def count_examples(images: int, share: float) -> int:
    """Return how many examples go with a number of images, to be a share, below 1, of all."""
    return round(images * share / (1 - share))


def draw_examples(count: int, um_per_px: float, seed: int, settings: SegmenterSettings) -> list[Example]:
    """Draw examples of muscle, collagen, lymphoid tissue and stroma, each in stains of its own.

    Where cores are learned, every other example is of crowded glands, whose borders are known to the px even
    where they touch.

    Args:
        count: Number of examples.
        um_per_px: Microns per pixel of the training images.
        seed: Random seed; the same seed draws the same examples.
        settings: Settings of stage 2.
    """
    rng = np.random.default_rng(seed)
    kinds: tuple[TileKind | None, ...] = KINDS if settings.core_um is None else KINDS_WITH_CORE
    examples = []
    for index in range(count):
        kind, tile_seed, stain = kinds[index % len(kinds)], int(rng.integers(1 << 31)), draw_stain(rng)
        if kind is None:
            image, labels = draw_crowded_tile(SIDE_PX, um_per_px, tile_seed, stain)
        else:
            image, glands = draw_tile(SIDE_PX, um_per_px, tile_seed, kind, stain)
            labels = glands.astype(np.int32)
        example = Example(image=image, mask=(labels > 0).astype(np.uint8))
        examples.append(fit_example(example, labels, um_per_px, settings))
    return examples


def draw_stain(rng: np.random.Generator) -> Stain:
    """Draw random strengths of a laboratory's stains."""
    return Stain(hematoxylin=float(rng.uniform(0.6, 1.4)), eosin=float(rng.uniform(0.5, 1.6)))
