"""The mask as a pyramidal OME-TIFF: 255 is gland, 0 is not, at every level.

Grey 255 rather than label 1, so that every viewer shows the mask without settings; as there are only the
two values, "above 0" reads it as labels.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from glandseg.runtime.maps.rasterize import draw_polygon
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.mask_pyramid import fill_levels
from glandseg.runtime.outputs.ome_tiff import OmeImage, write_map


@contextlib.contextmanager
def write_gland_mask(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the mask of a slide's glands, as if none were separated, drawn on disk first."""
    with TileMap(path.with_name("mask.map"), *found.mask_shape) as mask:
        if found.mask_glands is found.glands:
            yield lambda gland, _: draw_polygon(gland.polygon_px, mask)
        else:
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
