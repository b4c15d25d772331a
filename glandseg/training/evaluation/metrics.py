"""Agreement of a mask with the truth, by pixels: mIoU, F1 and Dice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Confusion:
    """Pixels counted by truth (row) and prediction (column): non-gland, gland.

    Attributes:
        counts: (2, 2) int64 numbers of pixels.
    """

    counts: NDArray[np.int64]

    @classmethod
    def empty(cls) -> Confusion:
        """Return the counts of no pixels."""
        return cls(np.zeros((2, 2), np.int64))

    @classmethod
    def of(cls, predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Confusion:
        """Count the pixels of two masks of one shape."""
        if predicted.shape != truth.shape:
            raise ValueError(f"masks: one shape expected. Received: {predicted.shape} and {truth.shape}")
        pairs = 2 * truth.astype(np.int64).ravel() + predicted.astype(np.int64).ravel()
        return cls(np.bincount(pairs, minlength=4).reshape(2, 2))

    def __add__(self, other: Confusion) -> Confusion:
        """Add the counts of both."""
        return Confusion(self.counts + other.counts)

    @property
    def iou(self) -> NDArray[np.float64]:
        """IoU of each class, (2,) float64 in 0..1; 1 where truth and prediction lack the class."""
        both = np.diag(self.counts)
        either = self.counts.sum(0) + self.counts.sum(1) - both
        return np.where(either > 0, both / np.maximum(either, 1), 1.0)

    @property
    def miou(self) -> float:
        """Mean IoU of the two classes, 0..1."""
        return float(self.iou.mean())

    @property
    def gland_iou(self) -> float:
        """IoU of gland, 0..1; 1 where truth and prediction lack it."""
        return float(self.iou[1])

    @property
    def dice(self) -> float:
        """Dice of gland, 0..1: twice the intersection over the sum of both masks."""
        total = self.counts[1].sum() + self.counts[:, 1].sum()
        return float(2 * self.counts[1, 1] / total) if total else 1.0

    @property
    def f1(self) -> float:
        """Mean F1 of the two classes, 0..1."""
        iou = self.iou
        return float((2 * iou / (1 + iou)).mean())
