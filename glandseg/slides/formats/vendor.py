"""Vendors' slides and DICOM, read with OpenSlide."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, GlandsegError
from glandseg.slides.described_size import warn_of_size
from glandseg.slides.formats.dicom_frames import list_frame_tiles
from glandseg.slides.formats.dicom_handle import DicomHandle
from glandseg.slides.formats.jpeg import JpegTiles
from glandseg.slides.formats.vendor_checks import (
    TIFF_VENDORS,
    build_failure,
    check_plausible,
    check_tile_counts,
    list_jpeg_tiles,
)
from glandseg.slides.mpp import decide_mpp, describe_statements
from glandseg.slides.mpp_sources import find_openslide_power, list_openslide_statements
from glandseg.slides.rgb import WHITE, drop_alpha, parse_color
from glandseg.slides.slide import CACHE_BYTES, CELL_PX, Slide, build_levels, cut_side
from glandseg.slides.slide_files import list_slide_files


def detect_vendor(path: Path) -> str | None:
    """Return the vendor whose format OpenSlide recognises; None for none and for generic TIFF.

    A generic TIFF is left to `TiffSlide`, so that the same rules for pyramids and um/px apply to every plain
    TIFF, whether OpenSlide reads it or not.
    """
    try:
        vendor: str | None = openslide.OpenSlide.detect_format(path)
    except openslide.OpenSlideError:
        return None
    return None if vendor == "generic-tiff" else vendor


class OpenSlideSlide(Slide):
    """A slide read with OpenSlide; coordinates count from its bounds rectangle if it has one.

    Labels, macros and thumbnails are never opened. After one error an OpenSlide handle fails forever, so
    failed reads are retried with a new handle, which replaces the old one if it succeeds.
    """

    def __init__(
        self, path: Path, vendor: str, mpp: float | None = None, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.path = path
        self.format = vendor
        if vendor in TIFF_VENDORS:
            check_tile_counts(path)
        self._jpegs: list[JpegTiles | None] = []
        self._cache = openslide.OpenSlideCache(cache_bytes)
        try:
            self._handle = self._open()
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

    def _open(self) -> openslide.OpenSlide:
        handle = (DicomHandle if self.format == "dicom" else openslide.OpenSlide)(self.path)
        handle.set_cache(self._cache)
        return handle

    def _build_damage_error(self, error: Exception) -> BadInputError:
        return build_failure(self.path, self.format, self._strip_path(error))

    def _read_metadata(self, mpp: float | None) -> None:
        properties = self._handle.properties
        statements, power = list_openslide_statements(properties), find_openslide_power(properties)
        self.statements = describe_statements(statements, power)
        self.resolution = decide_mpp(self.path, statements, power, mpp)
        background = properties.get(openslide.PROPERTY_NAME_BACKGROUND_COLOR)
        self._background = parse_color(background) if background else WHITE
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
        self._jpegs = self._list_jpegs()
        if self.format == "aperio" and mpp is None:
            self.warnings = warn_of_size(properties.get("openslide.comment", ""), self._handle.dimensions)
        check_plausible(self.path, [(level.width, level.height) for level in self.levels])
        self._cells_wh = [find_cell(properties, level) for level in range(len(self.levels))]

    def _list_jpegs(self) -> list[JpegTiles | None]:
        """List the JPEG tiles of each level, where OpenSlide's px are the file's."""
        sizes = list(self._handle.level_dimensions)
        if self.format == "aperio":
            return list_jpeg_tiles(self.path, sizes)
        if self.format == "dicom":
            return list_frame_tiles(list_slide_files(self.path), sizes)
        return [None] * len(sizes)

    def _find_bounds(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return origin and size of the scanned rectangle in px of OpenSlide's whole image."""
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
        return self._read_through(self._handle, level, (x, y), (width, height))

    def _reread(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        handle = self._open()
        try:
            pixels = self._read_through(handle, level, (x, y), (width, height))
        except BaseException:
            handle.close()
            raise
        self._handle = handle  # the old one closes when no thread uses it any more
        return pixels

    def _read_through(
        self, handle: openslide.OpenSlide, level: int, xy: tuple[int, int], wh: tuple[int, int]
    ) -> NDArray[np.uint8]:
        jpegs = self._jpegs[level]
        if jpegs is not None:
            jpegs.check(*xy, *wh)
        factor = self._downsamples[level]
        corner = (
            self._origin_l0_xy[0] + round(xy[0] * factor),
            self._origin_l0_xy[1] + round(xy[1] * factor),
        )
        rgba = np.asarray(handle.read_region(corner, level, wh))
        return drop_alpha(rgba, self._background)

    def get_cell_wh(self, level: int) -> tuple[int, int]:
        """Return the size of the level's tiles, large ones cut up and small ones put together."""
        return self._cells_wh[level]

    def close(self) -> None:
        """Close the files; harmless when repeated."""
        self._handle.close()
        for jpegs in self._jpegs:
            if jpegs is not None:
                jpegs.close()


def find_cell(properties: Mapping[str, str], level: int) -> tuple[int, int]:
    """Return width and height of a level's tiles, large ones cut up and small ones put together."""
    width, height = (
        int(properties.get(f"openslide.level[{level}].tile-{side}", CELL_PX)) for side in ("width", "height")
    )
    return gather_side(cut_side(width)), gather_side(cut_side(height))


def gather_side(side: int, minimum: int = CELL_PX // 4) -> int:
    """Return the smallest multiple of a tile's side from `minimum` px: a failed cell costs a handle."""
    return side * -(-minimum // side)
