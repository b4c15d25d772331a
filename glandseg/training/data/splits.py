"""Splits into training, validation and test that never tear a patient apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glandseg.core.errors import BadInputError
from glandseg.training.data.sample import Sample

Shares = tuple[float, float, float]  # of training, validation and test
SHARES: Shares = (0.7, 0.1, 0.2)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Images to learn from, to choose on and to report on; no group is in two of them.

    Attributes:
        train: to learn from.
        val: to choose on; empty where a paper's split has none.
        test: to report on.
        published: whether the test images are those that the data set's publishers set apart. Only these
            may share groups with the others; `note` says so.
    """

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    published: bool = False

    def __post_init__(self) -> None:
        """Refuse a split that leaks.

        Raises:
            BadInputError: naming a group that is in two parts.
        """
        train, val, test = (find_groups(part) for part in (self.train, self.val, self.test))
        leaked = (train & val) | (set() if self.published else (train | val) & test)
        if leaked:
            raise BadInputError(f"split: {sorted(leaked)[0]} is in two parts. Keep each patient in one.")

    @property
    def note(self) -> str:
        """What whoever reads the scores should know; empty where nothing."""
        test = find_groups(self.test)
        shared = test & find_groups(self.train + self.val)
        told = [] if self.val else ["without validation images, scores are those of the training images"]
        if shared:
            told.append(
                f"{len(shared)} of the published test's {len(test)} patients are in its training part too"
            )
        return "; ".join(told)

    def choose_on(self) -> tuple[Sample, ...]:
        """Give the images that weights are chosen on: val, or train where a paper's split has no val."""
        return self.val or self.train

    def count_groups(self) -> int:
        """Count the groups of all parts: patients, where they are known."""
        return len(find_groups(self.part("all")))

    def part(self, name: str) -> tuple[Sample, ...]:
        """Give the part called train, val or test, or all of them."""
        if name == "all":
            return self.train + self.val + self.test
        if name not in ("train", "val", "test"):
            raise ValueError(f"split: one of train, val, test, all. Received: {name}")
        part: tuple[Sample, ...] = getattr(self, name)
        return part


def find_groups(samples: Sequence[Sample]) -> set[str]:
    """Give the groups of images."""
    return {sample.group for sample in samples}


def split_samples(samples: Sequence[Sample], shares: Shares = SHARES, seed: int = 0) -> Split:
    """Split images by group, about in the given shares of images.

    Of few groups, the first goes to training, the second to validation, the third to test.

    Args:
        samples: what to split.
        shares: of training, validation and test.
        seed: of the shuffle of the groups.
    """
    groups, names = _shuffle_groups(samples, seed)
    parts: tuple[list[str], ...] = ([], [], [])
    for name in names:
        # The part that is furthest below its share takes the next group.
        lacks = [
            share * len(samples) - sum(len(groups[other]) for other in part) if share else -np.inf
            for share, part in zip(shares, parts, strict=True)
        ]
        parts[int(np.argmax(lacks))].append(name)
    _fill_empty(parts, shares)
    train, val, test = (tuple(sample for name in part for sample in groups[name]) for part in parts)
    return Split(train=train, val=val, test=test)


def _shuffle_groups(samples: Sequence[Sample], seed: int) -> tuple[dict[str, list[Sample]], list[str]]:
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[sample.group].append(sample)
    names = sorted(groups)
    np.random.default_rng(seed).shuffle(names)
    return groups, names


def _fill_empty(parts: tuple[list[str], ...], shares: Shares) -> None:
    train, val, test = parts
    if shares[1] and not val and len(train) + len(test) > 1:
        val.append((train if len(train) > 1 else test).pop())
    if shares[2] and not test and len(train) > 1:
        test.append(train.pop())


def take_groups(
    samples: Sequence[Sample], count: int, seed: int
) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """Take whole groups, by chance, that hold as near to `count` images as can be.

    Returns:
        The images that were taken, and the rest.
    """
    groups, names = _shuffle_groups(samples, seed)
    reached: dict[int, tuple[str, ...]] = {0: ()}  # groups by how many images they hold together
    for name in names:
        for total, taken in list(reached.items()):
            if total < count:
                reached.setdefault(total + len(groups[name]), (*taken, name))
    nearest = min(reached, key=lambda total: (abs(total - count), total))
    chosen = set(reached[nearest])
    return (
        tuple(sample for sample in samples if sample.group in chosen),
        tuple(sample for sample in samples if sample.group not in chosen),
    )
