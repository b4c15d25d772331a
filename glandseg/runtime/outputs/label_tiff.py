"""The labels as a plain TIFF of 32-bit numbers: each gland's px have its number in the table, 0 is none.

Between glands that touch, be it by a corner, 1 px is left 0: so that "above 0" and a count of what hangs
together, as in ImageJ, finds the same glands as the numbers do; only one with a neck of a single px may come
apart there. Px are in strips, for ImageJ reads no tiles,
and there are no smaller levels, as numbers cannot be averaged; the mask is the file to look at.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from tifffile import TiffWriter

from glandseg.runtime.glands.spans import list_spans
from glandseg.runtime.maps.label_map import NUMBER, LabelMap
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.ome_tiff import BIG_BYTES

STRIP_ROWS = 64
_LEVEL = 6  # of zlib-ng, which passes over a strip's zeros six times as fast as libdeflate
# A px is left 0 where one of these neighbours, the later ones in reading order, has another number.
_NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))


@contextlib.contextmanager
def write_labels(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the numbers of a slide's glands, drawn on disk first."""
    shape = found.mask_shape
    with LabelMap(path.with_name("labels.map"), shape) as labels:
        yield lambda gland, _: labels.draw(gland.polygon_px, gland.number)
        with TiffWriter(path, bigtiff=math.prod(shape) >= BIG_BYTES, byteorder="<", shaped=False) as tiff:
            tiff.write(
                _list_strips(labels),
                shape=shape,
                dtype=NUMBER,
                photometric="minisblack",
                compression="zlib",
                rowsperstrip=STRIP_ROWS,
                metadata=None,
                software=False,
                resolution=(1e4 / found.plane.um_per_px,) * 2,
                resolutionunit="CENTIMETER",
            )


def _list_strips(labels: LabelMap) -> Iterator[bytes]:
    """Yield the strips of rows, compressed."""
    height, width = labels.shape
    for top in range(0, height, STRIP_ROWS):
        bottom = min(top + STRIP_ROWS, height)
        numbers = labels.read(top, 0, min(bottom + 1, height), width)
        for span in list_spans(numbers != 0):
            numbers[:, span] = _part(numbers[:, span])
        yield bytes(imagecodecs.zlibng_encode(numbers[: bottom - top].tobytes(), _LEVEL))


def _part(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return a copy of labels with 0 between those that touch; the last row looks at no row below it."""
    padded = np.pad(numbers, ((0, 1), (1, 1)))
    parted = np.array(numbers)
    height, width = numbers.shape
    for down, across in _NEIGHBOURS:
        other = padded[down : down + height, 1 + across : 1 + across + width]
        parted[(other != 0) & (other != numbers)] = 0
    return parted
