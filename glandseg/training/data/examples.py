"""The images that a segmenter is trained and validated on, read into memory with their masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glandseg.core.callbacks import Say
from glandseg.training.data.datasets import Sample
from glandseg.training.data.patches import grid_starts
from glandseg.training.data.splits import Split
from glandseg.training.run import Run
from glandseg.training.segmenter import Example


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


def read_examples(samples: Sequence[Sample], run: Run | None, factor: float = 1.0) -> list[Example]:
    """Read images into memory with their outlines, or with the pseudo masks of a run.

    Args:
        samples: Samples to read.
        run: Run with the pseudo masks; None reads the samples' own masks.
        factor: Factor by which both are enlarged.
    """
    examples = []
    for sample in samples:
        image = sample.read()
        mask = run.read_pseudo_mask(sample.name) if run else sample.read_mask(image.shape)
        examples.append(Example(image=image, mask=mask).enlarge(factor))
    return examples


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
    soft = None if example.soft is None else example.soft[place]
    return Example(image=example.image[place], mask=example.mask[place], soft=soft)
