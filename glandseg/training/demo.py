"""Synthetic tissue and short settings, for a first training without any slide."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from glandseg.synthetic import Stain, TileKind, draw_tile
from glandseg.training.data.datasets import GLAS_UM_PER_PX
from glandseg.training.data.image_file import encode_png
from glandseg.training.settings import TrainSettings

TILES, SIDE_PX = 30, 448
KINDS: tuple[TileKind, ...] = ("glands", "mixed", "muscle")


def write_synthetic_data(folder: Path) -> Path:
    """Write a synthetic data set of tiles and masks, named and scaled as GlaS; the same in every call."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for index in range(TILES):
        stain = Stain(hematoxylin=float(rng.uniform(0.8, 1.2)), eosin=float(rng.uniform(0.8, 1.2)))
        image, truth = draw_tile(SIDE_PX, GLAS_UM_PER_PX, index, KINDS[index % len(KINDS)], stain)
        for name, pixels in (("", image), ("_anno", truth.astype(np.uint8))):
            encode_png(folder / f"drawn_{index:02d}{name}.png", pixels)
    return folder


def shorten(settings: TrainSettings) -> TrainSettings:
    """Return settings that train in a few minutes on two CPUs, randomly initialised."""
    classifier, segmenter = settings.classifier, settings.segmenter
    return replace(
        settings,
        shares=(0.6, 0.2, 0.2),  # enough validation tiles that some hold glands
        classifier=replace(
            classifier,
            input=96,
            output_stride=16,
            fit=replace(classifier.fit, steps=120, epochs=None, warmup=10, lr=2e-3, validate_every=60),
        ),
        segmenter=replace(
            segmenter,
            crop=192,
            fit=replace(segmenter.fit, steps=120, epochs=None, batch=8, warmup=10, validate_every=60),
        ),
    )
