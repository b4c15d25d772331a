"""A fraction of a split's samples, as if no more had been labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glandseg.training.data.sample import Sample
from glandseg.training.data.splits import Split, shuffle_groups


def thin_split(split: Split, fraction: float, seed: int) -> Split:
    """Keep a fraction of the training and validation samples, and the whole test set.

    Args:
        split: Split to thin.
        fraction: Fraction, above 0, at most 1.
        seed: Random seed of the choice.
    """
    if fraction == 1:
        return split
    train, val = (take_fraction(part, fraction, seed) for part in (split.train, split.val))
    return replace(split, train=train, val=val)


def take_fraction(samples: Sequence[Sample], fraction: float, seed: int) -> tuple[Sample, ...]:
    """Take a fraction of samples, at least one, patient by patient; only the last patient is taken in part.

    With the same seed, a smaller fraction is a subset of a larger one.

    Args:
        samples: Samples to take from.
        fraction: Fraction, above 0, at most 1.
        seed: Random seed of the order of the patients.
    """
    groups, names = shuffle_groups(samples, seed)
    ordered = [sample for name in names for sample in groups[name]]
    return tuple(ordered[: max(round(fraction * len(ordered)), 1)])
