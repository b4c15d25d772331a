"""The pieces of tissue on a slide: biopsies, or sections of one block, that lie apart."""

from __future__ import annotations

import math

import cv2
import numpy as np

from glandseg.runtime.tissue.tissue_mask import TissueMask


class TissuePieces:
    """Connected pieces of a tissue mask, numbered from 1 in reading order of their first px.

    Args:
        tissue: Tissue; its margin joins pieces that lie closer than twice that.
    """

    def __init__(self, tissue: TissueMask) -> None:
        self._labels = cv2.connectedComponents(tissue.mask.astype(np.uint8), connectivity=8)[1]
        self._um_per_px = tissue.um_per_px

    def find(self, x_um: float, y_um: float) -> float:
        """Return the number of the piece at a point, counted from the slide's corner; NaN outside of all."""
        row, column = (math.floor(value / self._um_per_px) for value in (y_um, x_um))
        height, width = self._labels.shape
        inside = 0 <= row < height and 0 <= column < width
        return float(self._labels[row, column] or math.nan) if inside else math.nan
