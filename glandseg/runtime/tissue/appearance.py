"""The appearance of tissue in a few numbers: hues of its stains, and how sharp it is.

A model errs on slides unlike those that it learned from. Most of these differ in stain (another stain, pen,
false colors) or in focus, which needs no network to see. Densities are optical: a stain's strength scales all
channels alike, so that their shares are its hue. The darkest fifth of tissue is mostly nuclei, the lightest
mostly stroma: in H&E their hues are those of haematoxylin and of eosin.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 160  # of a window, at the model's um/px
STAIN, SHARPNESS = slice(0, 7), 7  # of the numbers
FIFTHS = (20, 80)  # percentiles of the density between which lies neither nuclei nor stroma
_LEAST_DENSITY = 0.35  # sum over the channels, of px that count as tissue
_LEAST_SHARE = 0.05  # of such px; below, all px count
_SMOOTH_PX = 1.5  # JPEG stores hues at half the resolution and rounds them
_COARSE_PX = 2.0
_EVEN = 1e-6  # standard deviation of shares that are all alike


def measure_appearance(window: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure the appearance of a window.

    Args:
        window: (h, w, 3) uint8 RGB at the model's um/px.

    Returns:
        (8,) float64. First of the shares of red and green in the optical density of tissue: mean of both in
        its darkest fifth, mean of both in its lightest fifth, standard deviation of both, correlation between
        them. Then the logarithm of fine by coarse detail: Laplacians of the gray image and of a blurred one.
    """
    smooth = cv2.GaussianBlur(window, (0, 0), _SMOOTH_PX)
    density = -np.log((smooth.astype(np.float64) + 1) / 256)
    total = density.sum(axis=2)
    tissue = total > _LEAST_DENSITY
    if tissue.mean() < _LEAST_SHARE:
        tissue = np.ones_like(tissue)
    totals = total[tissue]
    shares = density[tissue][:, :2] / np.maximum(totals, 1e-3)[:, None]
    light, dark = np.percentile(totals, FIFTHS)
    hues = [shares[totals >= dark].mean(axis=0), shares[totals <= light].mean(axis=0), shares.std(axis=0)]
    return np.array([*np.concatenate(hues), _correlate(*shares.T), _measure_sharpness(window, tissue)])


def _correlate(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    if first.std() < _EVEN or second.std() < _EVEN:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])


def _measure_sharpness(window: NDArray[np.uint8], tissue: NDArray[np.bool_]) -> float:
    gray = cv2.cvtColor(window, cv2.COLOR_RGB2GRAY).astype(np.float32)
    coarse = cv2.GaussianBlur(gray, (0, 0), _COARSE_PX)
    fine, blurred = (cv2.Laplacian(image, cv2.CV_32F)[tissue].std() for image in (gray, coarse))
    return float(np.log((fine + 0.5) / (blurred + 0.05)))
