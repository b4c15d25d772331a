"""Synthetic images: islands of tissue on glass, or a tile full of one kind of tissue.

The same arguments give the same image. On a CPU with other vector instructions the glands stay the same and
about one px in 10,000 changes by a few gray levels: compare images with a tolerance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from glandseg.synthetic.canvas import F64, I32, U8, Canvas, fill_mask, smooth_noise
from glandseg.synthetic.crypt import CROWDED, GRID_UM, Crypt, place_crypts
from glandseg.synthetic.crypt_painting import paint_crypt
from glandseg.synthetic.islands import draw_islands
from glandseg.synthetic.muscle_painting import paint_muscle
from glandseg.synthetic.stain import Stain, develop
from glandseg.synthetic.stroma_painting import paint_lymphoid, paint_stroma

TileKind: TypeAlias = Literal["glands", "stroma", "mixed", "muscle", "lymphoid", "glass"]
Bool: TypeAlias = NDArray[np.bool_]

_MARGIN_UM = 240.0
_MAX_SIDE_PX = 16384


def draw_slide(
    width_px: int, height_px: int, um_per_px: float, seed: int, stain: Stain | None = None
) -> tuple[U8, Bool]:
    """Draw one or two irregular islands of colon mucosa on glass.

    Takes about 35 bytes of memory per pixel.

    Args:
        width_px: Width, 64 to 16384.
        height_px: Height, 64 to 16384.
        um_per_px: um per px, 0.1 to 4.
        seed: Random seed, 0 or more.
        stain: Strengths and colors; None draws the default ones.

    Returns:
        Image, (H, W, 3) uint8 RGB, and its glands, (H, W) bool, lumen included.

    Raises:
        ValueError: An argument is outside its range.
    """
    rng = _check(width_px, height_px, um_per_px, seed)
    size_um = np.array([width_px, height_px]) * um_per_px
    islands = draw_islands(size_um, rng)
    tissue = _rasterise(islands, (height_px, width_px), um_per_px)
    crypts = place_crypts(_rasterise(islands, _count_cells(size_um), GRID_UM), 0.0, rng)
    return _draw(tissue, crypts, um_per_px, rng, stain or Stain())


def draw_tile(
    size_px: int, um_per_px: float, seed: int, kind: TileKind, stain: Stain | None = None
) -> tuple[U8, Bool]:
    """Draw a square tile of one kind of tissue.

    "glands" is mucosa (crypts are cut by the tile's edge), "stroma" has no gland, "mixed" is half
    mucosa and half stroma, "muscle" is bundles without gland, "lymphoid" is stroma
    crowded with lymphocytes, "glass" is empty.

    Args:
        size_px: Side, 64 to 16384.
        um_per_px: um per px, 0.1 to 4.
        seed: Random seed, 0 or more.
        kind: Kind of tissue.
        stain: Strengths and colors; None draws the default ones.

    Returns:
        Image, (S, S, 3) uint8 RGB, and its glands, (S, S) bool, lumen included.

    Raises:
        ValueError: An argument is outside its range.
    """
    rng = _check(size_px, size_px, um_per_px, seed)
    if kind not in get_args(TileKind):
        raise ValueError(f"tile: kind: one of {get_args(TileKind)}. Received: {kind!r}.")
    tissue = np.full((size_px, size_px), kind != "glass")
    ground = _lay_ground(size_px * um_per_px, kind in ("glands", "mixed"))
    if kind == "mixed":
        ground &= _halve(ground.shape, rng)
    crypts = place_crypts(ground, -_MARGIN_UM, rng)
    paint_ground = _GROUNDS.get(kind, paint_stroma)
    return _draw(tissue, crypts, um_per_px, rng, stain or Stain(), paint_ground)


def draw_crowded_tile(
    size_px: int, um_per_px: float, seed: int, stain: Stain | None = None
) -> tuple[U8, I32]:
    """Draw a square tile of mucosa whose glands lie back to back: a few um of stroma between them, or none.

    Where two overlap, the later one covers the other, in the image as in the labels.

    Args:
        size_px: Side, 64 to 16384.
        um_per_px: um per px, 0.1 to 4.
        seed: Random seed, 0 or more.
        stain: Strengths and colors; None draws the default ones.

    Returns:
        Image, (S, S, 3) uint8 RGB, and the number of each px's gland, (S, S) int32, 0 outside glands.

    Raises:
        ValueError: An argument is outside its range.
    """
    rng = _check(size_px, size_px, um_per_px, seed)
    crypts = place_crypts(_lay_ground(size_px * um_per_px, True), -_MARGIN_UM, rng, CROWDED)
    labels: I32 = np.zeros((size_px, size_px), np.int32)
    for number, crypt in enumerate(crypts, start=1):
        fill_mask(labels, crypt.outline_um(), um_per_px, number)
    return _draw(labels >= 0, crypts, um_per_px, rng, stain or Stain())[0], labels


def _lay_ground(side_um: float, there: bool) -> Bool:
    """Return the cells of a tile and its margin, where crypts may lie everywhere or nowhere."""
    return np.full(_count_cells(np.full(2, side_um + 2.0 * _MARGIN_UM)), there)


def _paint_muscle(canvas: Canvas, glands: Bool, rng: np.random.Generator) -> None:
    paint_muscle(canvas, rng)


_GROUNDS: dict[TileKind, Callable[[Canvas, Bool, np.random.Generator], None]] = {
    "muscle": _paint_muscle,
    "lymphoid": paint_lymphoid,
}


def _draw(
    tissue: Bool,
    crypts: Sequence[Crypt],
    um_per_px: float,
    rng: np.random.Generator,
    stain: Stain,
    paint_ground: Callable[[Canvas, Bool, np.random.Generator], None] = paint_stroma,
) -> tuple[U8, Bool]:
    truth = _rasterise([crypt.outline_um() for crypt in crypts], tissue.shape, um_per_px)
    canvas = Canvas((tissue.shape[0], tissue.shape[1]), um_per_px)
    if tissue.any():
        paint_ground(canvas, truth, rng)
        for crypt in crypts:
            paint_crypt(canvas, crypt, rng)
        canvas.mottle(rng)
        canvas.hematoxylin[~tissue] = 0
        canvas.eosin[~tissue] = 0
    return develop(canvas, stain, rng), truth


def _halve(shape: tuple[int, ...], rng: np.random.Generator) -> Bool:
    """Mark one side of a wavy line through the middle of a grid."""
    y, x = np.ogrid[-0.5 : 0.5 : shape[0] * 1j, -0.5 : 0.5 : shape[1] * 1j]
    angle = rng.uniform(0.0, 2.0 * np.pi)
    waves = 0.05 * smooth_noise(rng, (shape[0], shape[1]), 100.0 / GRID_UM)
    side: Bool = x * np.cos(angle) + y * np.sin(angle) + waves > 0
    return side


def _rasterise(outlines_um: list[F64], shape: tuple[int, ...], um_per_px: float) -> Bool:
    mask: U8 = np.zeros(shape, np.uint8)
    for outline in outlines_um:
        fill_mask(mask, outline, um_per_px)
    return mask.view(np.bool_)


def _count_cells(size_um: F64) -> tuple[int, int]:
    return int(np.ceil(size_um[1] / GRID_UM)), int(np.ceil(size_um[0] / GRID_UM))


def _check(width_px: int, height_px: int, um_per_px: float, seed: int) -> np.random.Generator:
    for side in (width_px, height_px):
        if not 64 <= side <= _MAX_SIDE_PX:
            raise ValueError(f"drawing: side: 64 to {_MAX_SIDE_PX} px. Received: {side}.")
    if not 0.1 <= um_per_px <= 4.0:
        raise ValueError(f"drawing: um_per_px: 0.1 to 4. Received: {um_per_px}.")
    if seed < 0:
        raise ValueError(f"drawing: seed: 0 or more. Received: {seed}.")
    return np.random.Generator(np.random.PCG64(seed))
