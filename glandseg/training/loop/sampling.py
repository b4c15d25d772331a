"""Batches and their order, both a pure function of the step, so that a resumed fit repeats them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Hashable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

WHOLE = slice(None)


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The images and labels of one step.

    Attributes:
        images: (N, 3, S, S) float32 RGB in 0..1.
        labels: (N, S, S) int64 pixel labels; (N, S, S, C) those and maps of 0..255, such as a teacher's
            probability of gland; or (N, T) float32, of which the first two are presence of non-gland and
            gland.
        step: Step that the batch belongs to.
    """

    images: Tensor
    labels: Tensor
    step: int = 0

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


class DrawBatch(Protocol):
    """Draws the batch of a step, as a pure function of its arguments."""

    def __call__(self, step: int, places: slice, /) -> Batch:
        """Return the images at these places of the step's batch."""


def draw_ahead(
    draw: DrawBatch, wanted: Iterable[tuple[int, slice]], ahead: int = 1
) -> Generator[Batch, None, None]:
    """Draw batches in order, the next ones in background threads.

    Args:
        draw: Called with (step, places); returns a batch.
        wanted: Step and places of each batch.
        ahead: Number of threads, each of which prepares a batch; it does not change the batches.
    """
    with ThreadPoolExecutor(ahead, thread_name_prefix="draw") as pool:
        pending: deque[Future[Batch]] = deque()
        for step, places in wanted:
            pending.append(pool.submit(draw, step, places))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def shuffled_indices(count: int, batch: int, step: int, seed: int) -> list[int]:
    """Return a step's indices of an endless pass over 0 .. count - 1, reshuffled each epoch."""
    places = range(step * batch, (step + 1) * batch)
    epochs = {place // count for place in places}
    orders = {epoch: np.random.default_rng((seed, epoch)).permutation(count) for epoch in epochs}
    return [int(orders[place // count][place % count]) for place in places]


def repeat_rare(kinds: Sequence[Hashable]) -> list[int]:
    """Return indices in which every kind occurs about as often as the commonest one.

    Args:
        kinds: Kind of each item.
    """
    counts = Counter(kinds)
    most = max(counts.values(), default=0)
    return [index for index, kind in enumerate(kinds) for _ in range(round(most / counts[kind]))]
