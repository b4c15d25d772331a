"""The scores of the GlaS challenge, gland by gland: object F1, object Dice and object Hausdorff distance.

As defined in Sirinukunwattana et al., Gland segmentation in colon histology images: the GlaS challenge
contest, Medical Image Analysis 35 (2017), section "Evaluation": each object is matched with the object of
the other side that overlaps it most, and weighted by its area. Objects of several images are pooled.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.training.evaluation.object_matching import Matches, match_objects

MIN_OVERLAP = 0.5  # share of a true gland's area, for it to count as detected
CONNECTIVITY = 8  # of the pixels of a predicted gland, as in MATLAB's bwlabel, which the challenge used


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
    def of(cls, predicted: NDArray[np.bool_], truth: NDArray[np.integer]) -> ObjectAgreement:
        """Match the objects of an image.

        Args:
            predicted: (H, W) bool; its connected components are the objects.
            truth: (H, W) integer ids, background 0.

        Raises:
            ValueError: If the shapes differ.
        """
        if predicted.shape != truth.shape:
            raise ValueError(f"masks: one shape expected. Received: {predicted.shape} and {truth.shape}")
        _, labels = cv2.connectedComponents(predicted.astype(np.uint8), connectivity=CONNECTIVITY)
        found, true, overlap = match_objects(np.asarray(labels), number_objects(truth))
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


def number_objects(ids: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return an id mask with its objects numbered 1, 2, ... in the order of their ids; 0 stays."""
    present = np.bincount(ids.ravel()) > 0
    present[0] = False
    numbers: NDArray[np.int32] = np.where(present, np.cumsum(present), 0).astype(np.int32)
    return np.asarray(numbers[ids])


def _count_detected(overlap: NDArray[np.int64], true_areas: NDArray[np.float64]) -> int:
    if not overlap.size:
        return 0
    best = overlap.argmax(1)
    covered = overlap.max(1) / true_areas[best]
    return len(set(best[covered >= MIN_OVERLAP].tolist()))
