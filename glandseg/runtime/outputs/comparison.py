"""Comparison of a written mask with the ground truth, for the demo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray


def compare_with_truth(mask_path: Path, truth: NDArray[np.bool_], l0_per_px: float) -> float:
    """Compute the Dice score of a mask file against the ground truth of the same area.

    Args:
        mask_path: OME-TIFF mask at the model's um/px, gland non-zero.
        truth: (H, W) bool, gland, at level 0.
        l0_per_px: Level-0 px per px of the mask.

    Returns:
        Dice in 0..1, the mask being sampled at the centre of every pixel of the truth.
    """
    mask = tifffile.imread(mask_path, level=0) > 0
    centres = (((np.arange(size) + 0.5) / l0_per_px).astype(np.intp) for size in truth.shape)
    rows, columns = (np.minimum(i, size - 1) for i, size in zip(centres, mask.shape, strict=True))
    found = mask[np.ix_(rows, columns)]
    return float(2 * (found & truth).sum() / max(found.sum() + truth.sum(), 1))
