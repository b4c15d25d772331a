"""Touching glands told apart in bands of rows, while the maps of the slide are still being computed.

Seeds are the components of a second map and may cross any number of bands, so that they are found first, as
glands are. A band is cut once all seeds are complete that reach its rows or those that its gaps depend on:
one seed is then one number, however many pieces bands cut it into. A long seed delays the bands that it
crosses and, as they wait on disk, takes no memory.

In memory are the seeds' numbers of a band and of the rows around it, at 4 bytes a px, and the first px of
each piece of the seeds that wait.
"""

from __future__ import annotations

from collections import defaultdict

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.glands.components import BAND_PX, ComponentFinder
from glandseg.runtime.glands.separation import find_gaps
from glandseg.runtime.glands.spans import list_spans
from glandseg.runtime.maps.tile_map import ReadableMap, TileMap


class InsideMask:
    """A map where another is at least `cut`, and 0 elsewhere.

    Args:
        values: The map.
        mask: The other map, of the same shape.
        cut: Minimum value of `mask`.

    Attributes:
        shape: (height, width).
    """

    def __init__(self, values: ReadableMap, mask: ReadableMap, cut: int) -> None:
        self._values, self._mask, self._cut, self.shape = values, mask, cut, values.shape

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Read rows top..bottom and columns left..right, ends excluded."""
        values = self._values.read(top, left, bottom, right)
        values[self._mask.read(top, left, bottom, right) < self._cut] = 0
        return values


class Separator:
    """Writes the outline map: p(gland), with 0 in gaps of 1 px between glands that touch.

    The same maps give the same bytes, whatever the calls of `advance` and the size of bands.

    Args:
        gland: (H, W), 0..255 for p(gland) 0..1.
        channel: (H, W), the probability of the seeds' channel; it may be `gland`.
        outline: (H, W), written here.
        cut: Minimum grey value of a gland's px, 1..255.
        seed_cut: Minimum grey value of a seed's px in `channel`, 1..255.
        reach_px: Number of px by which a seed grows.
        band_px: Maximum px of a band, unless a row has more.
    """

    def __init__(
        self,
        gland: TileMap,
        channel: TileMap,
        outline: TileMap,
        *,
        cut: int,
        seed_cut: int,
        reach_px: int,
        band_px: int = BAND_PX,
    ) -> None:
        self._gland, self._outline, self._cut, self._reach_px = gland, outline, cut, reach_px
        self._seeds: ReadableMap = gland if channel is gland else InsideMask(channel, gland, cut)
        self._seed_cut = max(seed_cut, cut) if channel is gland else seed_cut
        self._finder = ComponentFinder(self._seeds, self._seed_cut, 0, band_px)
        self._found = 0  # seeds
        self._pieces: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)  # by band: first px, seed
        self._rows = 0  # of the outline map, written so far
        self._numbers = np.empty((0, gland.shape[1]), np.int32)  # of the seeds, from row `_first` on
        self._first = 0

    def advance(self, rows: int) -> int:
        """Write what can be, now that the first `rows` rows of both maps are final.

        Returns:
            Rows of the outline map, from the top, that are final.
        """
        height, width = self._gland.shape
        band_rows = self._finder.band_rows
        for seed in self._finder.advance(rows):
            self._found += 1
            for first_px in seed.seeds.tolist():
                self._pieces[first_px // width // band_rows].append((first_px, self._found))
        known = self._finder.closed_rows
        while self._rows < height:
            end = min(self._rows + band_rows, height)
            if min(end + self._reach_px + 1, height) > known:
                break
            self._write_band(end)
        return self._rows

    def _write_band(self, end: int) -> None:
        (height, width), top = self._gland.shape, self._rows
        first, last = max(top - self._reach_px, 0), min(end + self._reach_px + 1, height)
        bands = [self._numbers[first - self._first :]]
        labelled = self._first + len(self._numbers)
        while labelled < last:
            bands.append(self._number_band(labelled))
            labelled += len(bands[-1])
        self._numbers, self._first, self._rows = np.concatenate(bands), first, end
        grey = self._gland.read(first, 0, last, width)
        mask = grey >= self._cut
        body = grey[top - first : end - first]
        for span in list_spans(mask):
            gaps = find_gaps(mask[:, span], self._numbers[: last - first, span], self._reach_px)
            body[:, span][gaps[top - first : end - first]] = 0
        if body.any():
            self._outline.write(top, 0, body)

    def _number_band(self, top: int) -> NDArray[np.int32]:
        """Return the seed of each px of a band, 0 for none."""
        (height, width), band_rows = self._gland.shape, self._finder.band_rows
        bottom = min(top + band_rows, height)
        pieces = self._pieces.pop(top // band_rows, [])
        if not pieces:
            return np.zeros((bottom - top, width), np.int32)
        first_px, seeds = np.array(pieces, np.int64).T
        row, column = np.divmod(first_px - top * width, width)
        band = self._seeds.read(top, 0, bottom, width) >= self._seed_cut
        numbers = np.zeros(band.shape, np.int32)
        for span in list_spans(band):
            part = np.ascontiguousarray(band[:, span])
            count, labels = cv2.connectedComponents(part.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
            own = (span.start <= column) & (column < span.stop)
            number_of = np.zeros(count, np.int32)
            number_of[labels[row[own], column[own] - span.start]] = seeds[own]
            numbers[:, span] = number_of[labels]
        return numbers
