"""A fraction of a split's pictures, as if no more had been labelled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from glandseg.training.data.sample import Picture
from glandseg.training.data.splits import Split


def thin_split(split: Split, fraction: float, seed: int) -> Split:
    """Keep a fraction of the pictures to learn from and of those to choose on; the test stays whole.

    Args:
        split: to thin.
        fraction: above 0, at most 1.
        seed: of the choice.
    """
    if fraction == 1:
        return split
    train, val = (take_fraction(part, fraction, seed) for part in (split.train, split.val))
    return replace(split, train=train, val=val)


def take_fraction(pictures: Sequence[Picture], fraction: float, seed: int) -> tuple[Picture, ...]:
    """Take a fraction of pictures, at least one of some, patient by patient; only the last is cut short.

    With one seed, a smaller fraction is part of a larger one.

    Args:
        pictures: to take from.
        fraction: above 0, at most 1.
        seed: of the order of the patients.
    """
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        groups[picture.group].append(picture)
    names = sorted(groups)
    np.random.default_rng(seed).shuffle(names)
    ordered = [picture for name in names for picture in groups[name]]
    return tuple(ordered[: max(round(fraction * len(ordered)), 1)])
