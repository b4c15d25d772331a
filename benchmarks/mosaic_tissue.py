"""Squares of tissue with known glands, each encoded once: the parts of a mosaic slide.

A square is an image and, to the right and below, its mirror image. Its side is a whole number of tiles at
the three finest levels, so that these levels repeat the same encoded tiles wherever a square lies; the
coarser levels, 1/64 of the pixels, are assembled from shrunk squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray

from glandseg.synthetic import TileKind, draw_tile
from glandseg.training.data.glas import UM_PER_PX, read_glas
from glandseg.training.data.sample import Sample

GLAS = Path(__file__).parents[2] / "shared" / "data" / "glas"
SQUARE_PX = 1024
TILE_PX = 256
QUALITY = 85
GLASS = 243  # grey level of empty glass
DRAWN: tuple[TileKind, ...] = ("glands", "mixed", "glands", "stroma") * 6

Draw = Callable[[], tuple[NDArray[np.uint8], NDArray[np.bool_]]]  # (1024, 1024, 3) RGB and (1024, 1024)


@dataclass(frozen=True, eq=False)
class Square:
    """A square of tissue, ready to be written.

    Attributes:
        tiles: JPEG of each tile, by level and then row by row, for the levels that whole tiles cover.
        reduced: The square at the further levels, (S, S, 3) uint8 RGB each, from 128 px down to 1.
        glands: (1024, 128) uint8, eight px per byte.
    """

    tiles: tuple[tuple[bytes, ...], ...]
    reduced: tuple[NDArray[np.uint8], ...]
    glands: NDArray[np.uint8]


class Tissue:
    """Squares of tissue, each prepared at its first use; about half a megabyte per square.

    Attributes:
        name: Name of the tissue.
        um_per_px: um per px.
    """

    def __init__(self, name: str, draw: Sequence[Draw], um_per_px: float = UM_PER_PX) -> None:
        self.name, self.um_per_px = name, um_per_px
        self._draw, self._squares = draw, dict[int, Square]()

    def __len__(self) -> int:
        """Return the number of squares."""
        return len(self._draw)

    def __getitem__(self, index: int) -> Square:
        """Return a square by its number."""
        if index not in self._squares:
            self._squares[index] = build_square(*self._draw[index]())
        return self._squares[index]


def find_tissue(glas: Path = GLAS) -> Tissue:
    """Read the training images of GlaS; without the folder, draw synthetic tissue."""
    found = read_glas(glas) if glas.is_dir() else None
    if found is None:
        return Tissue("drawn tissue", [_draw_square(kind, seed) for seed, kind in enumerate(DRAWN)])
    samples = [sample for sample in found.samples if sample.part == "train"]
    return Tissue("GlaS, training images", [_read_square(sample) for sample in samples])


def build_square(image: NDArray[np.uint8], glands: NDArray[np.bool_]) -> Square:
    """Encode and shrink a square.

    Args:
        image: (1024, 1024, 3) uint8 RGB.
        glands: (1024, 1024) bool.
    """
    tiles = []
    while len(image) >= TILE_PX:
        tiles.append(tuple(encode_tile(tile) for tile in _cut(image)))
        image = halve(image)
    reduced = [image]
    while len(reduced[-1]) > 1:
        reduced.append(halve(reduced[-1]))
    return Square(tuple(tiles), tuple(reduced), np.packbits(glands, axis=1))


def encode_tile(tile: NDArray[np.uint8]) -> bytes:
    """Encode a (256, 256, 3) uint8 RGB tile as JPEG, YCbCr with halved color, as scanners do."""
    return bytes(
        imagecodecs.jpeg8_encode(
            tile, level=QUALITY, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"
        )
    )


def halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halve an image of even size, by the mean of four px."""
    size = (image.shape[1] // 2, image.shape[0] // 2)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _cut(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    starts = range(0, len(image), TILE_PX)
    return [image[y : y + TILE_PX, x : x + TILE_PX] for y in starts for x in starts]


def _read_square(sample: Sample) -> Draw:
    return lambda: (_mirror(sample.read()), _mirror(sample.read_mask()).astype(np.bool_))


def _draw_square(kind: TileKind, seed: int) -> Draw:
    return lambda: draw_tile(SQUARE_PX, UM_PER_PX, seed, kind)


def _mirror(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image's upper left, mirrored at its right and lower border up to the square's side."""
    image = image[:SQUARE_PX, :SQUARE_PX]
    beside, below = SQUARE_PX - image.shape[1], SQUARE_PX - image.shape[0]
    return np.asarray(cv2.copyMakeBorder(image, 0, below, 0, beside, cv2.BORDER_REFLECT), np.uint8)
