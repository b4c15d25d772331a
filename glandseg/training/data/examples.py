"""The images that a segmenter is trained and validated on, read into memory with their masks."""

from __future__ import annotations

from collections.abc import Sequence

from glandseg.core.callbacks import Say
from glandseg.training.data.datasets import Sample
from glandseg.training.run import Run
from glandseg.training.segmenter import Example


def choose_validation(samples: Sequence[Sample], say: Say) -> tuple[tuple[Sample, ...], bool]:
    """Choose the images to validate on: those with outlines if there are any, else all.

    Returns:
        The samples, and whether they have outlines.
    """
    outlined = tuple(sample for sample in samples if sample.mask_path is not None)
    if outlined and len(outlined) < len(samples):
        say(f"note: weights are chosen on the {len(outlined)} of {len(samples)} images that have outlines")
    return outlined or tuple(samples), bool(outlined)


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
