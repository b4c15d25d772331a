"""The layout of tissue squares on a slide, all over it or in islands on glass, and its tiles."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from benchmarks.mosaic_tissue import GLASS, SQUARE_PX, TILE_PX, Tissue, encode_tile

TOP_PX = 512  # the pyramid ends when both sides are at most this
ISLANDS = 5  # about as many, when the slide is not full
NO_SQUARE = -1


class Mosaic:
    """A layout of tissue squares.

    Attributes:
        side_px: Side of the slide, in level-0 px.
        tissue: Squares of tissue.
        squares: (n, n) int: a square's number, or -1 for glass.
    """

    def __init__(self, tissue: Tissue, *, side_px: int, share: float = 1.0, seed: int = 0) -> None:
        if side_px < 1 or not 0 < share <= 1:
            raise ValueError(f"--side: at least 1, --tissue: above 0 to 1. Received: {side_px}, {share}")
        rng = np.random.default_rng(seed)
        count = math.ceil(side_px / SQUARE_PX)
        order = np.resize(rng.permutation(len(tissue)), count * count)
        self.side_px, self.tissue = side_px, tissue
        self.squares = np.where(lay_islands(count, share, rng), order.reshape(count, count), NO_SQUARE)

    @property
    def levels(self) -> int:
        """Return the number of levels of the pyramid."""
        return 1 + max(0, math.ceil(math.log2(self.side_px / TOP_PX)))

    def level_side(self, level: int) -> int:
        """Return the side of a level in its own px."""
        return -(-self.side_px >> level)

    def encode(self, level: int, row: int, column: int) -> bytes:
        """Encode a tile as JPEG; None if it shows only glass."""
        per_side = (SQUARE_PX >> level) // TILE_PX
        if per_side == 0:
            return self._join(level, row, column)
        square = self.squares[row // per_side, column // per_side]
        if square == NO_SQUARE:
            return b""
        return self.tissue[square].tiles[level][row % per_side * per_side + column % per_side]

    def read_truth(self, y_l0: NDArray[np.int64], x_l0: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read the truth at the crossings of rows and columns, (rows, columns) uint8, 255 for gland."""
        truth = np.zeros((len(y_l0), len(x_l0)), np.uint8)
        for row in np.unique(y_l0 // SQUARE_PX):
            for column in np.unique(x_l0 // SQUARE_PX):
                if (square := self.squares[row, column]) == NO_SQUARE:
                    continue
                ys, xs = y_l0 // SQUARE_PX == row, x_l0 // SQUARE_PX == column
                glands = np.unpackbits(self.tissue[square].glands, axis=1)
                part = glands[np.ix_(y_l0[ys] % SQUARE_PX, x_l0[xs] % SQUARE_PX)]
                truth[np.ix_(ys, xs)] = part * np.uint8(255)
        return truth

    def _join(self, level: int, row: int, column: int) -> bytes:
        side = SQUARE_PX >> level
        per_tile = TILE_PX // side
        squares = self.squares[row * per_tile : (row + 1) * per_tile, column * per_tile :][:, :per_tile]
        if (squares == NO_SQUARE).all():
            return b""
        tile = np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8)
        for y, x in np.argwhere(squares != NO_SQUARE):
            reduced = self.tissue[squares[y, x]].reduced
            tile[y * side : (y + 1) * side, x * side : (x + 1) * side] = reduced[-side.bit_length()]
        return encode_tile(tile)


def lay_islands(count: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mark squares as tissue, (count, count) bool, in discs until `share` is reached."""
    tissue = np.full((count, count), share == 1)
    y, x = np.ogrid[:count, :count]
    largest = count * math.sqrt(share / ISLANDS / math.pi) + 0.5
    while tissue.mean() < share:
        radius = rng.uniform(0.6, 1.0) * largest
        centre = rng.uniform(0, count, 2)
        tissue |= np.hypot(y + 0.5 - centre[0], x + 0.5 - centre[1]) <= radius
    return tissue
