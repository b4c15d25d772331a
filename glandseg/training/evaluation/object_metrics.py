"""The scores of the GlaS challenge, gland by gland: object F1, object Dice and object Hausdorff distance.

As defined in Sirinukunwattana et al., Gland segmentation in colon histology images: the GlaS challenge
contest, Medical Image Analysis 35 (2017), section "Evaluation", and as computed by the contest's MATLAB code
(F1score, ObjectDice, ObjectHausdorff): an object is a label, in one piece or several, touching others or not.
Each is matched with the object of the other side that shares the most px with it, on a tie the lowest label,
and weighted by its share of its side's area. Objects of several images are pooled.

The contest's code differs from the paper in one place: a detection covers more than half of a true object, in
the paper at least half. Here it is the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.training.evaluation.object_matching import Matches, match_objects

MIN_OVERLAP = 0.5  # share of a true gland's area, for it to count as detected


@dataclass(frozen=True, kw_only=True)
class ObjectAgreement:
    """Predicted and true objects of one or more images, matched.

    Attributes:
        predicted: Predicted objects.
        true: True objects.
        detected: Number of true objects that are detected.
    """

    predicted: Matches
    true: Matches
    detected: int

    @classmethod
    def empty(cls) -> ObjectAgreement:
        """Return the agreement of no objects."""
        nothing = Matches(*np.zeros((3, 0)))
        return cls(predicted=nothing, true=nothing, detected=0)

    @classmethod
    def of(cls, predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> ObjectAgreement:
        """Match the objects of an image.

        Args:
            predicted: (H, W) integer labels, background 0; they need not be consecutive.
            truth: (H, W) integer labels, likewise.

        Raises:
            ValueError: If the shapes differ, or a label is below 0.
        """
        if predicted.shape != truth.shape:
            raise ValueError(f"labels: one shape expected. Received: {predicted.shape} and {truth.shape}")
        found, true, overlap = match_objects(number_objects(predicted), number_objects(truth))
        return cls(predicted=found, true=true, detected=_count_detected(overlap, true.area_px))

    def __add__(self, other: ObjectAgreement) -> ObjectAgreement:
        """Pool the objects of both."""
        return ObjectAgreement(
            predicted=self.predicted + other.predicted,
            true=self.true + other.true,
            detected=self.detected + other.detected,
        )

    @property
    def f1(self) -> float:
        """F1 of detection, 0..1: 2 TP / (2 TP + FP + FN).

        A predicted object is a true positive if it covers at least half of the true object that it overlaps
        most, else a false positive; a true object that no true positive covers is a false negative.
        """
        objects = len(self.predicted.area_px) + len(self.true.area_px)
        return 2 * self.detected / objects if objects else 1.0

    @property
    def dice(self) -> float:
        """Object-level Dice, 0..1; 1 where both sides are empty.

        1/2 [sum_i w_i Dice(G_i, S_i) + sum_i w'_i Dice(G'_i, S'_i)] with w_i = |S_i| / sum_j |S_j| over the
        predicted objects S_i, each with its true match G_i, and w'_i likewise over the true objects G'_i.
        """
        return self._average(self.predicted.dice, self.true.dice, 1.0)

    @property
    def hausdorff_px(self) -> float:
        """Object-level Hausdorff distance in px; 0 where both sides are empty.

        Weighted as `dice`, of H(G, S) = max{sup_{x in G} inf_{y in S} |x - y|, sup_{y in S} inf_{x in G}
        |x - y|}. An object without overlap is matched with that of minimum Hausdorff distance. Where the
        other side has no object, which the challenge leaves open, the distance is the image's diagonal.
        """
        return self._average(self.predicted.hausdorff_px, self.true.hausdorff_px, 0.0)

    def _average(self, predicted: NDArray[np.float64], true: NDArray[np.float64], empty: float) -> float:
        """Average both directions; one without objects is left out."""
        sides = ((predicted, self.predicted.area_px), (true, self.true.area_px))
        means = [float(np.average(values, weights=areas)) for values, areas in sides if len(values)]
        return float(np.mean(means)) if means else empty


def number_objects(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return labels with their objects numbered 1, 2, ... in the order of the labels; 0 stays."""
    present = np.bincount(labels.ravel()) > 0
    present[0] = False
    numbers: NDArray[np.int32] = np.where(present, np.cumsum(present), 0).astype(np.int32)
    return np.asarray(numbers[labels])


def _count_detected(overlap: NDArray[np.int64], true_areas: NDArray[np.float64]) -> int:
    if not overlap.size:
        return 0
    best = overlap.argmax(1)
    covered = overlap.max(1) / true_areas[best]
    return len(set(best[covered >= MIN_OVERLAP].tolist()))
