"""The mask as a pyramidal OME-TIFF: 255 is gland, 0 is not, at every level.

Grey 255 rather than label 1, so that every viewer shows the mask without settings; as there are only the
two values, "above 0" reads it as labels.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from glandseg.runtime.maps.rasterize import draw_polygon
from glandseg.runtime.maps.tile_map import ReadableMap, TileMap
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.mask_pyramid import Fill, fill_levels, list_boxes
from glandseg.runtime.outputs.ome_tiff import Encode, OmeImage, write_pyramid


@contextlib.contextmanager
def write_gland_mask(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the mask of a slide's glands, as if none were separated, drawn on disk first."""
    with TileMap(path.with_name("mask.map"), *found.mask_shape) as mask:
        yield lambda gland, _: None
        for gland in found.mask_glands:
            draw_polygon(gland.polygon_px, mask)
        write_mask(path, mask, found.plane.um_per_px)


def write_mask(path: Path, mask: TileMap, um_per_px: float) -> None:
    """Write a mask tile by tile, with smaller levels down to 512 px; same mask, same bytes.

    Args:
        path: File to write; its name should end in ".ome.tif".
        mask: (H, W), gland where not 0; some tiles of it are held at a time.
        um_per_px: Micrometres per mask pixel.

    Raises:
        BadInputError: The pixel size is not a finite number above 0.
    """
    image = OmeImage(name="Gland mask", channel="Gland", um_per_px=um_per_px)
    write_map(path, mask, image, fill_levels, lambda part: (part != 0) * np.uint8(255))


def write_map(path: Path, full: ReadableMap, image: OmeImage, fill: Fill, encode: Encode) -> None:
    """Write a map and smaller levels of it as a pyramid.

    The map is read twice: to fill the smaller levels, on disk beside the file, and to write it.

    Args:
        path: File to write; its name should end in ".ome.tif".
        full: (H, W) map.
        image: What the file says.
        fill: Fills the smaller levels.
        encode: Turns a part of a level into px, as for `write_pyramid`.

    Raises:
        BadInputError: The pixel size is not a finite number above 0.
    """
    image.check(path)
    boxes = list_boxes(full.shape)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent)))
        maps = (TileMap(folder / f"{y}x{x}", full.shape[0] // y, full.shape[1] // x) for y, x in boxes[1:])
        smaller = [stack.enter_context(level) for level in maps]
        fill(full, smaller, boxes)
        write_pyramid(path, [full, *smaller], boxes, image, encode)
