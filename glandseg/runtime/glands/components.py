"""Connected components of a map, labelled in bands of rows as these become final.

A slide's map has 10^8 to 10^9 pixels: labels of the whole would take 4 bytes for each, and could be computed
only after the network has seen the last row. So each band is labelled by itself, and its pieces are joined
with the components that touch it from above. Joins form chains, as the arms of a gland enter a band apart
and meet bands later; without union-find one gland would become several. A component that does not reach a
band's last row is complete, for 4-connected pixels skip no row. Of a piece only its first pixel is kept:
`contour` fills the piece again from there, so that no labels outlive their band.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.glands.spans import list_spans
from glandseg.runtime.maps.tile_map import ReadableMap

BAND_PX = 1 << 20  # pixels labelled together


@dataclass(frozen=True, kw_only=True)
class Component:
    """A 4-connected component that no further row can extend.

    Attributes:
        box: Top, left, bottom, right in map px; ends excluded.
        seeds: (N,) int64, ascending flat indices: the first pixel of each piece that bands cut it into, the
            component's own first pixel in reading order being the first.
    """

    box: tuple[int, int, int, int]
    seeds: NDArray[np.int64]


class ComponentFinder:
    """Finds the components of a map whose rows become final from the top down.

    In memory are one band, and the boxes and seeds of the components that reach its last row.

    Args:
        probability: The map.
        cut: Minimum grey value of a component's pixel, 1..255.
        min_px2: Components whose box cannot hold a contour of this area are left out.
        band_px: Maximum pixels of a band, unless a row has more.

    Attributes:
        band_rows: Rows of a band.
    """

    def __init__(self, probability: ReadableMap, cut: int, min_px2: float, band_px: int = BAND_PX) -> None:
        self._map, self._cut, self._min_px2 = probability, cut, min_px2
        width = probability.shape[1]
        self.band_rows = max(1, band_px // width)
        self._rows = 0  # labelled so far
        self._above = np.full(width, -1, np.int64)  # open component of each pixel of the last row labelled
        self._boxes = np.empty((0, 4), np.int64)
        self._seeds, self._owners = np.empty((2, 0), np.int64)  # of the open components; owner: row of _boxes

    @property
    def closed_rows(self) -> int:
        """Rows from the top, whole bands of them, in which every component is complete."""
        if not len(self._seeds):
            return self._rows
        first_row = int(self._seeds.min()) // len(self._above)
        return first_row - first_row % self.band_rows

    def advance(self, rows: int) -> Iterator[Component]:
        """Label the bands that end within the first `rows` rows, and yield the components they complete."""
        height = self._map.shape[0]
        while self._rows < height and min(self._rows + self.band_rows, height) <= rows:
            yield from self._label_band(min(self._rows + self.band_rows, height))

    def _label_band(self, end: int) -> Iterator[Component]:
        height, width = self._map.shape
        band = self._map.read(self._rows, 0, end, width) >= self._cut
        boxes, seeds, first, last = _find_pieces(band)
        opened = len(self._boxes)
        boxes += [self._rows, 0, self._rows, 0]
        boxes = np.concatenate([self._boxes, boxes])
        touching = (self._above >= 0) & (first >= 0)
        pairs = np.unique(self._above[touching] * len(boxes) + first[touching] + opened)
        joins = np.column_stack(np.divmod(pairs, len(boxes) or 1))
        roots = _find_roots(len(boxes), joins)
        _merge_boxes(boxes, roots)
        owners = roots[np.concatenate([self._owners, np.arange(opened, len(boxes))])]
        seeds = np.concatenate([self._seeds, seeds + self._rows * width])
        below = np.where((last >= 0) & (end < height), roots[last + opened] if len(boxes) else -1, -1)
        is_open = np.zeros(len(boxes), bool)
        is_open[below[below >= 0]] = True
        self._keep_open(is_open, boxes, seeds, owners, below)
        self._rows = end
        yield from _list_closed(~is_open & self._is_wanted(boxes, roots), boxes, seeds, owners)

    def _is_wanted(self, boxes: NDArray[np.int64], roots: NDArray[np.int64]) -> NDArray[np.bool_]:
        reach_px2 = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
        return np.asarray((roots == np.arange(len(roots))) & (reach_px2 >= self._min_px2))

    def _keep_open(
        self,
        is_open: NDArray[np.bool_],
        boxes: NDArray[np.int64],
        seeds: NDArray[np.int64],
        owners: NDArray[np.int64],
        below: NDArray[np.int64],
    ) -> None:
        """Keep what the next band needs, renumbered."""
        numbers = np.cumsum(is_open) - 1
        self._boxes = boxes[is_open]
        kept = is_open[owners]
        self._seeds, self._owners = seeds[kept], numbers[owners[kept]]
        self._above = np.full(len(below), -1, np.int64)
        self._above[below >= 0] = numbers[below[below >= 0]]


Pieces = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def _find_pieces(band: NDArray[np.bool_]) -> Pieces:
    """Label a band.

    Returns:
        (N, 4) boxes and (N,) flat indices of the first pixels, both relative to the band's corner, then
        the piece of each pixel of the first and of the last row, -1 for none.
    """
    width, count = band.shape[1], 0
    boxes, firsts = [np.empty((0, 4), np.int64)], [np.empty(0, np.int64)]
    ends = np.full((2, width), -1, np.int64)
    for span in list_spans(band):
        part = np.ascontiguousarray(band[:, span])
        row, start, end = _find_runs(part)
        pieces, labels = cv2.connectedComponents(part.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
        piece = labels[row, start] - 1
        first, box = np.empty(pieces - 1, np.int64), np.empty((pieces - 1, 4), np.int64)
        first[piece[::-1]] = np.arange(len(piece))[::-1]  # the last assignment to an index wins
        box[:, 0], box[:, 1], box[piece, 2], box[:, 3] = row[first], start[first], row + 1, end[first]
        np.minimum.at(box[:, 1], piece, start)
        np.maximum.at(box[:, 3], piece, end)
        box[:, 1::2] += span.start
        boxes.append(box)
        firsts.append(row[first] * width + start[first] + span.start)
        outer = labels[[0, -1]]
        ends[:, span] = np.where(outer > 0, outer + (count - 1), -1)
        count += pieces - 1
    above, below = ends
    return np.concatenate(boxes), np.concatenate(firsts), above, below


def _find_runs(band: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the row, first column and end column of each run of pixels, in reading order."""
    width = band.shape[1] + 1
    flat = np.concatenate([[False], np.pad(band, ((0, 0), (0, 1))).ravel()])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    row, start = np.divmod(edges[::2], width)
    return row, start, start + edges[1::2] - edges[::2]


def _find_roots(count: int, joins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return, for each of `count` pieces, the lowest piece that the joins connect it to."""
    parent = {piece: piece for pair in joins.tolist() for piece in pair}

    def root_of(piece: int) -> int:
        while parent[piece] != piece:
            parent[piece] = piece = parent[parent[piece]]
        return piece

    for one, other in joins.tolist():
        low, high = sorted((root_of(one), root_of(other)))
        parent[high] = low
    roots = np.arange(count, dtype=np.int64)
    for piece in parent:
        roots[piece] = root_of(piece)
    return roots


def _merge_boxes(boxes: NDArray[np.int64], roots: NDArray[np.int64]) -> None:
    """Widen the box of every root by the boxes of its pieces."""
    moved = np.flatnonzero(roots != np.arange(len(roots)))
    for column, widen in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
        widen.at(boxes[:, column], roots[moved], boxes[moved, column])


def _list_closed(
    wanted: NDArray[np.bool_], boxes: NDArray[np.int64], seeds: NDArray[np.int64], owners: NDArray[np.int64]
) -> Iterator[Component]:
    """Yield the wanted components, each with its own seeds."""
    seeds, owners = seeds[wanted[owners]], owners[wanted[owners]]
    order = np.lexsort((seeds, owners))
    seeds, owners = seeds[order], owners[order]
    for number in np.flatnonzero(wanted):
        top, left, bottom, right = boxes[number].tolist()
        own = slice(*np.searchsorted(owners, [number, number + 1]))
        yield Component(box=(top, left, bottom, right), seeds=seeds[own])
