"""Which pixels of a mask are gland: one rule for grey masks, ids, palettes, colors and opacity.

Why a rule: masks come from many programs and do not say what their values mean. "Above 0" would turn the
smooth edges of a resized mask into gland; "above 127" would drop the first 127 glands of a mask of ids.
- Two grey levels, or two with smooth edges between them (resized, JPEG), are split in the middle.
- Flat areas of several levels are ids of glands, all above 0.
- Edges lie in thin lines and ids fill areas: the share of pixels whose eight neighbours are equal decides.
- A mask with two readings is an error: the wrong one would train the wrong thing, and no score would show it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.training.data.stored_values import StoredValues

FLAT, SMOOTH = 0.3, 0.1  # shares of pixels whose neighbours are equal: minimum of ids, maximum of edges
NEAR = 8  # values within 1/8 of the range count as black or white: a lossy codec scatters them
MAX_TINY_LEVELS = 16  # up to these, glands may be too small to fill areas
CURE = "Save it with 0 for all else and 255 for gland"


class AmbiguousMaskError(ValueError):
    """A mask's values have more than one meaning, or none."""


@dataclass(frozen=True, kw_only=True)
class Glands:
    """The glands of a mask.

    Attributes:
        gland: (H, W) bool.
        ids: (H, W) int32 id of each gland, 0 elsewhere; None where the mask has no ids.
        note: How values were read where that is a choice; empty where they have one meaning.
    """

    gland: NDArray[np.bool_]
    ids: NDArray[np.int32] | None = None
    note: str = ""


def find_glands(stored: StoredValues) -> Glands:
    """Find the gland pixels of a mask.

    Raises:
        AmbiguousMaskError: If the values have more than one meaning, with the reason.
    """
    values = stored.values
    if stored.palette is not None:
        return _read_palette(values, stored.palette)
    note = stored.note
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values, note = _drop_opacity(values)
    found = (_read_colors if values.ndim == 3 else read_levels)(values, stored.lossy)
    return replace(found, note=note or found.note)


def read_levels(values: NDArray[Any], lossy: bool = False) -> Glands:
    """Find the gland pixels of (H, W) grey levels or ids.

    Raises:
        AmbiguousMaskError: As `find_glands`.
    """
    if values.dtype == np.bool_:
        return Glands(gland=values)
    if values.dtype.kind == "f":
        values = _round_fractions(values)
    levels = np.unique(values)
    lowest, top, full = int(levels[0]), int(levels[-1]), 255 if levels[-1] <= 255 else 65535
    if lowest < 0:
        raise AmbiguousMaskError("has values below 0")
    if levels.size == 1 or (lowest == 0 and levels.size == 2):
        return _count_ids(values)
    if levels.size == 2 and lowest <= full // 2 < top:
        return Glands(gland=values > full // 2)
    if top > full // 2 and _has_smooth_edges(values, full, lossy):
        return Glands(gland=values > full // 2)
    _refuse_other_ids(values, levels, full, lossy)
    return _count_ids(values)


def _round_fractions(values: NDArray[Any]) -> NDArray[Any]:
    """Return whole numbers as they are, and fractions from 0 to 1 as 0 to 255."""
    if not np.isfinite(values).all():
        raise AmbiguousMaskError("has values that are not numbers")
    if (values == np.floor(values)).all():
        return values
    if values.min() < 0 or values.max() > 1:
        raise AmbiguousMaskError("has fractions that are not between 0 and 1")
    return np.asarray(np.rint(values * 255), np.uint8)


def _count_ids(values: NDArray[Any]) -> Glands:
    return Glands(gland=values > 0, ids=values.astype(np.int32) if values.max() < 2**31 else None)


def _has_smooth_edges(values: NDArray[Any], full: int, lossy: bool) -> bool:
    """Return whether the levels between black and white are edges; ids fill areas instead."""
    between = (values > full // NEAR) & (values < full - full // NEAR)
    dark = _measure_flat(values, (values > 0) & (values <= full // NEAR))
    if lossy or not between.any():
        return lossy or dark < FLAT
    share = _measure_flat(values, between)
    if share >= FLAT:
        return False
    if share > SMOOTH or dark >= FLAT:
        raise AmbiguousMaskError("has edges and areas of levels between black and white")
    return True


def _measure_flat(values: NDArray[Any], among: NDArray[np.bool_]) -> float:
    """Compute the share, 0 to 1, of the pixels `among` whose eight neighbours have their value."""
    kind = values if values.dtype in (np.uint8, np.uint16) else values.astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    flat = cv2.erode(kind, square) == cv2.dilate(kind, square)
    return float(flat[among].mean()) if among.any() else 0.0


def _refuse_other_ids(values: NDArray[Any], levels: NDArray[Any], full: int, lossy: bool) -> None:
    """Raise if several levels cannot be ids of glands."""
    if lossy or (levels.size > MAX_TINY_LEVELS and _measure_flat(values, values > 0) < SMOOTH / 2):
        raise AmbiguousMaskError(f"has levels up to {levels[-1]} of {full} that fill no areas")
    if levels[0] != 0:
        raise AmbiguousMaskError("has several levels and no 0, so what is not gland is unclear")
    if levels[-1] == 255 and levels[-2] <= 127:
        raise AmbiguousMaskError(f"has ids up to {levels[-2]} and 255, which may be void or gland")
    if levels[-1] == 255 and levels.size > 4 and (values == 255).sum() > (values > 0).sum() / 2:
        raise AmbiguousMaskError("is mostly 0 and 255 but has areas between them")


def _read_palette(index: NDArray[Any], palette: NDArray[np.uint8]) -> Glands:
    """Find gland pixels by index, where 0 is black; a grey palette is read by its levels."""
    used = np.unique(index)
    if used[-1] >= len(palette):
        raise AmbiguousMaskError("has indices beyond its palette")
    colors = palette[used]
    levels = colors[:, 0]
    if (colors == levels[:, None]).all() and np.unique(levels).size == levels.size:
        return read_levels(palette[index, 0])
    if palette[0].any():
        raise AmbiguousMaskError("has a palette whose first color, that of no gland, is not black")
    return read_levels(index)


def _drop_opacity(values: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """Return (H, W, 2 or 4) values without opacity; where one color is everywhere, opacity is the mask."""
    color, opacity = values[..., :-1], values[..., -1]
    full = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1
    if not opacity.any():
        raise AmbiguousMaskError("is wholly transparent")
    if opacity.min() < full and (color == color[:1, :1]).all():
        return opacity, "one color everywhere; what is opaque is taken for gland"
    if color[opacity <= full // 2].any():
        raise AmbiguousMaskError("has colors where it is transparent")
    return (color[..., 0] if color.shape[2] == 1 else color), ""


def _read_colors(values: NDArray[Any], lossy: bool) -> Glands:
    """Find the pixels of (H, W, C) values that are not black; equal channels are grey levels."""
    if values.shape[2] not in (1, 3):
        raise AmbiguousMaskError(f"has {values.shape[2]} channels; grey, RGB and RGBA are read")
    peak = values.max(axis=2)
    full = 65535 if values.dtype == np.uint16 and peak.max() > 255 else 255
    if int((peak - values.min(axis=2)).max()) <= full // 2 // NEAR:
        return read_levels(peak, lossy)
    if not (peak <= full // NEAR).any():
        raise AmbiguousMaskError("is colored without black, so which color is gland is unclear")
    square = np.ones((3, 3), np.uint8)
    flat = (cv2.erode(values, square) == cv2.dilate(values, square)).all(axis=2)
    kinds = np.unique(values[flat & (peak > full // NEAR)].reshape(-1, 3), axis=0)
    smooth = peak.max() > full // 2 and _has_smooth_edges(peak, full, lossy)
    several = len(kinds) > 1 and not lossy
    note = "several colors; all but black are taken for gland" if several else ""
    return Glands(gland=peak > (full // 2 if smooth else 0), note=note)
