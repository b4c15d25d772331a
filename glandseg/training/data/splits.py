"""Splits into training, validation and test by patient.

Why by patient: patches and images of one patient share stain, scanner and glands, so a network that has seen
some knows the others, and a split by image overstates the scores.
Why greedily: patients differ much in their number of images, so dividing the patients alone would miss the
shares. Each next patient, in random order, goes to the part that is furthest below its share of images.
Published test sets stay as published, so that scores compare; shared patients are then noted.
"""

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
    """Training, validation and test samples; no group is in two of them.

    Attributes:
        train: Training samples.
        val: Validation samples; empty where a paper's split has none.
        test: Test samples.
        published: Whether the test set is the published one. Only that may share groups with the others;
            `note` says so.
    """

    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    test: tuple[Sample, ...]
    published: bool = False

    def __post_init__(self) -> None:
        """Raise if the split leaks.

        Raises:
            BadInputError: If a group is in two parts; it names the first.
        """
        train, val, test = (find_groups(part) for part in (self.train, self.val, self.test))
        leaked = (train & val) | (set() if self.published else (train | val) & test)
        if leaked:
            raise BadInputError(f"split: {sorted(leaked)[0]} is in two parts. Keep each patient in one.")

    @property
    def note(self) -> str:
        """Remarks for readers of the scores; empty without any."""
        test = find_groups(self.test)
        shared = test & find_groups(self.train + self.val)
        notes = [] if self.val else ["without validation images, scores are those of the training images"]
        if shared:
            notes.append(
                f"{len(shared)} of the published test's {len(test)} patients are in its training part too"
            )
        return "; ".join(notes)

    def choose_on(self) -> tuple[Sample, ...]:
        """Return the samples to validate on: val, or train where a paper's split has no val."""
        return self.val or self.train

    def count_groups(self) -> int:
        """Count the groups of all parts: patients, where they are known."""
        return len(find_groups(self.part("all")))

    def part(self, name: str) -> tuple[Sample, ...]:
        """Return the part named train, val or test, or all of them."""
        if name == "all":
            return self.train + self.val + self.test
        if name not in ("train", "val", "test"):
            raise ValueError(f"split: one of train, val, test, all. Received: {name}")
        part: tuple[Sample, ...] = getattr(self, name)
        return part


def find_groups(samples: Sequence[Sample]) -> set[str]:
    """Return the groups of samples."""
    return {sample.group for sample in samples}


def split_samples(samples: Sequence[Sample], shares: Shares = SHARES, seed: int = 0) -> Split:
    """Split samples by group, approximately in the given shares of samples.

    Of few groups, the first goes to training, the second to validation, the third to test.

    Args:
        samples: Samples to split.
        shares: Shares of training, validation and test, which sum to 1.
        seed: Random seed of the order of the groups.
    """
    groups, names = shuffle_groups(samples, seed)
    parts: tuple[list[str], ...] = ([], [], [])
    for name in names:
        lacks = [
            share * len(samples) - sum(len(groups[other]) for other in part) if share else -np.inf
            for share, part in zip(shares, parts, strict=True)
        ]
        parts[int(np.argmax(lacks))].append(name)
    _fill_empty(parts, shares)
    train, val, test = (tuple(sample for name in part for sample in groups[name]) for part in parts)
    return Split(train=train, val=val, test=test)


def shuffle_groups(samples: Sequence[Sample], seed: int) -> tuple[dict[str, list[Sample]], list[str]]:
    """Return samples by group, and the groups in random order."""
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
    """Take random whole groups that together hold as near to `count` samples as possible.

    Returns:
        The samples of these groups, and the others.
    """
    groups, names = shuffle_groups(samples, seed)
    reached: dict[int, tuple[str, ...]] = {0: ()}  # groups by their total number of samples
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
