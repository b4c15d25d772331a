"""Splits into training, validation and test that never tear a patient apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glandseg.training.datasets import Picture


@dataclass(frozen=True, kw_only=True)
class Split:
    """Pictures to learn from, to choose on and to report on; no group is in two of them."""

    train: tuple[Picture, ...]
    val: tuple[Picture, ...]
    test: tuple[Picture, ...]

    def __post_init__(self) -> None:
        """Refuse a split that leaks."""
        parts = [{picture.group for picture in part} for part in (self.train, self.val, self.test)]
        leaked = (parts[0] & parts[1]) | (parts[0] & parts[2]) | (parts[1] & parts[2])
        if leaked:
            raise ValueError(f"split: {sorted(leaked)[0]} is in two parts. Keep each patient in one.")

    def count_groups(self) -> int:
        """Count the groups of all parts: patients, where they are known."""
        return len({picture.group for picture in self.part("all")})

    def part(self, name: str) -> tuple[Picture, ...]:
        """Give the part called train, val or test, or all of them."""
        if name == "all":
            return self.train + self.val + self.test
        if name not in ("train", "val", "test"):
            raise ValueError(f"split: one of train, val, test, all. Received: {name}")
        part: tuple[Picture, ...] = getattr(self, name)
        return part


def split_pictures(
    pictures: Sequence[Picture], shares: tuple[float, float, float] = (0.7, 0.1, 0.2), seed: int = 0
) -> Split:
    """Split pictures by group, about in the given shares of pictures.

    Of few groups, the first goes to training, the second to validation, the third to test.

    Args:
        pictures: what to split.
        shares: of training, validation and test.
        seed: of the shuffle of the groups.
    """
    groups: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        groups[picture.group].append(picture)
    names = sorted(groups)
    np.random.default_rng(seed).shuffle(names)
    parts: tuple[list[str], ...] = ([], [], [])
    for name in names:
        # The part that is furthest below its share takes the next group.
        lacks = [
            share * len(pictures) - sum(len(groups[other]) for other in part) if share else -np.inf
            for share, part in zip(shares, parts, strict=True)
        ]
        parts[int(np.argmax(lacks))].append(name)
    _fill_empty(parts, shares)
    train, val, test = (tuple(picture for name in part for picture in groups[name]) for part in parts)
    return Split(train=train, val=val, test=test)


def _fill_empty(parts: tuple[list[str], ...], shares: tuple[float, float, float]) -> None:
    train, val, test = parts
    if shares[1] and not val and len(train) + len(test) > 1:
        val.append((train if len(train) > 1 else test).pop())
    if shares[2] and not test and len(train) > 1:
        test.append(train.pop())
