"""A fraction of a split's images, as if no more had been labelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glandseg.training.data.sample import Sample
from glandseg.training.data.splits import Split


def thin_split(split: Split, fraction: float, seed: int) -> Split:
    """Keep a fraction of the images to learn from and of those to choose on; the test stays whole.

    Args:
        split: to thin.
        fraction: above 0, at most 1.
        seed: of the choice.
    """
    if fraction == 1:
        return split
    train, val = (take_fraction(part, fraction, seed) for part in (split.train, split.val))
    return replace(split, train=train, val=val)


def take_fraction(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[Sample, ...]:
    """Take a fraction of images, at least one of some, patient by patient; only the last is cut short.

    With one seed, a smaller fraction is part of a larger one.

    Args:
        samples: to take from.
        fraction: above 0, at most 1.
        seed: of the order of the patients.
    """
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group].append(sample)
    names = sorted(groups)
    np.random.default_rng(seed).shuffle(names)
    ordered = [sample for name in names for sample in groups[name]]
    return tuple(ordered[: max(round(fraction * len(ordered)), 1)])
