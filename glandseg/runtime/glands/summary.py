"""The glands of a slide in a few figures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from glandseg.runtime.glands.store import Glands

PERCENTILES = (5, 25, 50, 75, 95)


def summarise_glands(glands: Glands, um_per_px: float, tissue_mm2: float) -> dict[str, Any]:
    """Compute the density of glands, their share of the tissue, and the distribution of their areas.

    Args:
        glands: Glands, in map px.
        um_per_px: Size of these.
        tissue_mm2: Area of the tissue, its margin included, in mm2.

    Returns:
        `glands_per_mm2` and `gland_share` of the tissue, None without tissue; and `area_um2` by percentile,
        None without glands.
    """
    areas_um2 = glands.areas_px2 * um_per_px**2
    quantiles = np.percentile(areas_um2, PERCENTILES).round(1).tolist() if len(areas_um2) else None
    return {
        "glands_per_mm2": round(len(areas_um2) / tissue_mm2, 3) if tissue_mm2 else None,
        "gland_share": round(math.fsum(areas_um2) / 1e6 / tissue_mm2, 4) if tissue_mm2 else None,
        "area_um2": dict(zip(map(str, PERCENTILES), quantiles, strict=True)) if quantiles else None,
    }
