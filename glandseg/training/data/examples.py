"""The images that a segmenter is trained and validated on, read into memory with their masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.training.data.borders import SIGMA_UM, find_cores, number_glands, weigh_stroma
from glandseg.training.data.datasets import Sample
from glandseg.training.data.mask_rule import Glands
from glandseg.training.data.patches import grid_starts
from glandseg.training.data.splits import Split
from glandseg.training.run import Run
from glandseg.training.segmenter import Example
from glandseg.training.segmenter_settings import SegmenterSettings


def choose_validation(split: Split, labels: str, say: Say) -> tuple[tuple[Sample, ...], bool]:
    """Choose the images to validate on: those with outlines if there are any, else all.

    A split without validation images leaves those of training. Under patch labels the outlines of these
    decide nothing either: the network is validated on their pseudo masks.

    Args:
        split: Split of the data set.
        labels: Labels that are learned from, as in `TrainSettings`.
        say: Called with a note on what decides.

    Returns:
        The samples, and whether they are validated on outlines.
    """
    samples = split.choose_on()
    if labels == "patches" and not split.val:
        say("note: weights are chosen by the pseudo masks of the training images, not by outlines")
        return samples, False
    outlined = tuple(sample for sample in samples if sample.mask_path is not None)
    if outlined and len(outlined) < len(samples):
        say(f"note: weights are chosen on the {len(outlined)} of {len(samples)} images that have outlines")
    return outlined or samples, bool(outlined)


def note_one_class(examples: Sequence[Example], val: Sequence[Example], say: Say) -> None:
    """Log if the images to train or to validate on show a single class."""
    for purpose, group in (("learn from", examples), ("choose weights on", val)):
        shown = {label for each in group for label in (0, 1) if (each.mask == label).any()}
        if len(shown) == 1:
            what = "no gland at all" if shown == {0} else "nothing but gland"
            say(f"note: the images to {purpose} show {what}. Check their masks or labels")


def read_examples(
    samples: Sequence[Sample], run: Run | None, um_per_px: float, settings: SegmenterSettings
) -> list[Example]:
    """Read images into memory at the segmenter's um/px, with their outlines or the pseudo masks of a run.

    Args:
        samples: Samples to read.
        run: Run with the pseudo masks; None reads the samples' own masks.
        um_per_px: Microns per pixel of the images.
        settings: Settings of stage 2.
    """
    examples = []
    for sample in samples:
        image = sample.read()
        if run:
            mask, soft = run.read_pseudo_mask(sample.name), run.read_soft_mask(sample.name)
            glands = Glands(gland=mask == 1)
        else:
            glands, soft = sample.read_glands(image.shape), None
            mask = glands.gland.astype(np.uint8)
        example = Example(image=image, mask=mask, soft=soft)
        examples.append(fit_example(example, number_glands(glands), um_per_px, settings))
    return examples


def fit_example(
    example: Example, labels: NDArray[np.int32], um_per_px: float, settings: SegmenterSettings
) -> Example:
    """Add the maps of core and border that the settings want, and resize all to the segmenter's um/px.

    The maps are made before any resizing, which they follow: an enlargement by augmentation imitates another
    um/px, and the distance of a core from its border is in um.

    Args:
        example: Example at the images' um/px; a core that it has stays.
        labels: (H, W) number of each px's gland, 0 outside glands.
        um_per_px: Microns per pixel of both.
        settings: Settings of stage 2.
    """
    if settings.core_um is not None and example.core is None:
        example = replace(example, core=find_cores(labels, settings.core_um / um_per_px))
    if settings.border_weight:
        example = replace(example, border=weigh_stroma(labels, SIGMA_UM / um_per_px))
    return example.enlarge(um_per_px / (settings.um_per_px or um_per_px))


def cut_tiles(examples: Sequence[Example], side: int, stride: int | None) -> list[Example]:
    """Cut examples into square tiles, the last of each row and column flush with the border.

    Args:
        examples: Examples to cut; smaller ones stay whole.
        side: Side of a tile, in px.
        stride: Distance between tiles, in px; None keeps the examples whole.
    """
    if stride is None:
        return list(examples)
    return [
        _cut(example, x, y, side)
        for example in examples
        for y in grid_starts(example.mask.shape[0], side, stride)
        for x in grid_starts(example.mask.shape[1], side, stride)
    ]


def _cut(example: Example, x_px: int, y_px: int, side: int) -> Example:
    place = np.s_[y_px : y_px + side, x_px : x_px + side]
    maps = {name: values[place] for name, values in example.maps.items()}
    return Example(image=example.image[place], mask=example.mask[place], **maps)
