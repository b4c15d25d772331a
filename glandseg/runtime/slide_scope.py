"""How far a slide looks from those that its model learned from, seen before the windows run."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.runtime.slide_run import SlideRun
from glandseg.runtime.slide_tissue import Tissue
from glandseg.runtime.tissue.appearance import SIDE_PX, measure_appearance
from glandseg.runtime.tissue.scope import Distance, read_scope
from glandseg.slides.slide_plane import SlidePlane
from glandseg.slides.unread import UnreadRegions

MAX_LOOKS = 16  # windows, evenly spaced over the tissue
WINDOWS_PER_LOOK = 4  # of the area of tissue: a small image is looked at in few places
_CACHE_BYTES = 8 << 20


def measure_distance(run: SlideRun, tissue: Tissue, warn: Say) -> Distance | None:
    """Look at the tissue in up to 16 places, and warn if it is unlike what the model learned from.

    What cannot be read is not added to the run's unread regions, on which a resumed run depends.

    Returns:
        The distance; None where the model has no scope, or the slide no tissue.
    """
    scope = read_scope(run.model.path)
    places = list_places(tissue, run.base.um_per_px)
    if scope is None or not len(places):
        return None
    plane = SlidePlane(
        run.slide, run.base.um_per_px, _CACHE_BYTES, UnreadRegions(), tissue.thumbnail.fill_rgb
    )
    with run.trace.span("scope"):
        appearances = [measure_appearance(_read(plane, x, y)) for x, y in places.tolist()]
    distance = scope.measure(np.array(appearances))
    for warning in distance.list_warnings():
        warn(warning)
    return distance


def list_places(tissue: Tissue, um_per_px: float) -> NDArray[np.int64]:
    """List the corners of the windows to look at, (N, 2) int64 in px of the base plane, evenly spaced."""
    rows, columns = np.nonzero(tissue.inside.mask)
    window_mm2 = (SIDE_PX * um_per_px / 1000) ** 2
    looks = int(min(MAX_LOOKS, max(1, tissue.area_mm2 / window_mm2 / WINDOWS_PER_LOOK)))
    if not len(rows):
        return np.empty((0, 2), np.int64)
    picked = np.linspace(0, len(rows) - 1, looks + 2)[1:-1].astype(np.int64)
    centers = (np.stack([columns[picked], rows[picked]], axis=1) + 0.5) * tissue.inside.um_per_px / um_per_px
    corners: NDArray[np.int64] = np.maximum(centers - SIDE_PX / 2, 0).astype(np.int64)
    return corners


def _read(plane: SlidePlane, x: int, y: int) -> NDArray[np.uint8]:
    """Read a window, moved in from the slide's far edges."""
    width, height = min(SIDE_PX, plane.width_px), min(SIDE_PX, plane.height_px)
    left, top = min(x, plane.width_px - width), min(y, plane.height_px - height)
    return plane.read(left, top, width, height)
