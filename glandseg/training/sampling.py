"""Batches, and the order in which they are drawn: a pure function of the step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one step learns from.

    Attributes:
        pictures: (N, 3, S, S) float32 RGB in 0..1.
        labels: (N, S, S) int64 pixel labels, or (N, 2) float32 presence of non-gland and gland.
    """

    pictures: Tensor
    labels: Tensor


def shuffled_indices(count: int, batch: int, step: int, seed: int) -> list[int]:
    """Give a step's indices of an endless pass over 0 .. count - 1, shuffled anew each epoch."""
    places = range(step * batch, (step + 1) * batch)
    epochs = {place // count for place in places}
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(count) for epoch in epochs}
    return [int(orders[place // count][place % count]) for place in places]


def repeat_rare(kinds: Sequence[Hashable]) -> list[int]:
    """Give indices in which every kind comes about as often as the commonest one.

    Args:
        kinds: of each item.
    """
    counts = Counter(kinds)
    most = max(counts.values(), default=0)
    return [index for index, kind in enumerate(kinds) for _ in range(round(most / counts[kind]))]
