"""Vendors' slides and DICOM, read through OpenSlide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError, GlandsegError, shorten
from glandseg.runtime.reader import Slide, build_levels
from glandseg.runtime.resolution import read_openslide_resolution, take_given_resolution
from glandseg.runtime.rgb import WHITE, lay_on_background


def detect_vendor(path: Path) -> str | None:
    """The vendor whose format OpenSlide recognises in the file; None for no one's and for generic TIFF.

    A generic TIFF is left to `TiffSlide`, so that every plain TIFF gets the same rules for
    pyramids and resolution whether or not OpenSlide takes it.
    """
    try:
        vendor: str | None = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None
    return None if vendor == "generic-tiff" else vendor


class OpenSlideSlide(Slide):
    """A slide behind OpenSlide; coordinates count from its bounds rectangle where it has one.

    Labels, macros and thumbnails are never opened.
    """

    def __init__(self, path: Path, vendor: str, mpp: float | None = None) -> None:
        self.path = path
        self.format = vendor
        try:
            self._handle = openslide.OpenSlide(path)
        except openslide.OpenSlideError as error:
            raise self._build_damage_error(error) from error
        try:
            self._read_metadata(mpp)
        except (openslide.OpenSlideError, ValueError) as error:
            self.close()
            raise self._build_damage_error(error) from error
        except GlandsegError:
            self.close()
            raise

    def _build_damage_error(self, error: Exception) -> BadInputError:
        return BadInputError(
            f"{self.path}: recognised as {self.format}, but OpenSlide cannot open it ({shorten(error)}): "
            f"damaged, or files beside it are missing. Copy the slide again, with its folder"
        )

    def _read_metadata(self, mpp: float | None) -> None:
        properties = self._handle.properties
        if mpp is None:
            self.resolution = read_openslide_resolution(self.path, properties)
        else:
            self.resolution = take_given_resolution(mpp)
        background = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR)
        self._background = parse_colour(background) if background else WHITE
        self._downsamples: tuple[float, ...] = self._handle.level_downsamples
        self._origin_l0_xy, bounds_wh = self._find_bounds()
        if bounds_wh == self._handle.dimensions:
            self.levels = build_levels(list(self._handle.level_dimensions))
        else:
            self.frame = "openslide bounds"
            self.levels = build_levels(
                [
                    (max(int(bounds_wh[0] / factor), 1), max(int(bounds_wh[1] / factor), 1))
                    for factor in self._downsamples
                ]
            )

    def _find_bounds(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Origin and size of the scanned rectangle in px of OpenSlide's whole image."""
        names = [
            openslide.PROPERTY_NAME_BOUNDS_X,
            openslide.PROPERTY_NAME_BOUNDS_Y,
            openslide.PROPERTY_NAME_BOUNDS_WIDTH,
            openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
        ]
        if not all(name in self._handle.properties for name in names):
            return (0, 0), self._handle.dimensions
        x, y, width, height = (int(self._handle.properties[name]) for name in names)
        full_width, full_height = self._handle.dimensions
        return (x, y), (min(width, full_width - x), min(height, full_height - y))

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        factor = self._downsamples[level]
        corner = (
            self._origin_l0_xy[0] + round(x * factor),
            self._origin_l0_xy[1] + round(y * factor),
        )
        rgba = np.asarray(self._handle.read_region(corner, level, (width, height)))
        return lay_on_background(rgba, self._background)

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        self._handle.close()


def parse_colour(rrggbb: str) -> tuple[int, int, int]:
    """A colour from six hexadecimal digits."""
    red, green, blue = bytes.fromhex(rrggbb)
    return red, green, blue
