"""TIFF and OME-TIFF, tiled or in strips, with pyramids in sub-images or in further pages."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.runtime.cache import ArrayCache
from glandseg.runtime.errors import BadInputError, GlandsegError, shorten
from glandseg.runtime.reader import Slide, build_levels
from glandseg.runtime.resolution import (
    Resolution,
    read_ome_resolution,
    read_tiff_resolution,
    settle,
    take_given_resolution,
)
from glandseg.runtime.tiff_colour import convert_samples, find_problem
from glandseg.runtime.tiff_page import TiffPageReader
from glandseg.runtime.tiff_pyramid import check_chain, find_pyramid

CACHE_BYTES = 64 << 20
logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its complaints become our errors


def detect_tiff(head: bytes) -> bool:
    """Whether a file's first 4 bytes announce a TIFF or BigTIFF."""
    return head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}


class TiffSlide(Slide):
    """The largest picture of a TIFF, with the smaller copies of it as levels."""

    def __init__(self, path: Path, mpp: float | None = None) -> None:
        self.path = path
        try:
            self._tiff = tifffile.TiffFile(path, _useframes=False)
        except Exception as error:
            raise self._build_damage_error(error) from error
        try:
            self._read_metadata(mpp)
        except GlandsegError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self._build_damage_error(error) from error

    def _build_damage_error(self, error: Exception) -> BadInputError:
        return BadInputError(
            f"{self.path}: this TIFF cannot be read ({shorten(error)}): damaged or cut short. "
            f"Copy or export it again"
        )

    def _read_metadata(self, mpp: float | None) -> None:
        check_chain(self._tiff)
        self.format = "ome-tiff" if self._tiff.is_ome else "tiff"
        main, pages = find_pyramid(self.path, self._tiff)
        for page in pages:
            check_page(self.path, page)
        self._page = pages[0]
        cache = ArrayCache(CACHE_BYTES)
        self._readers = [TiffPageReader(page, cache) for page in pages]
        self.levels = build_levels([(page.imagewidth, page.imagelength) for page in pages])
        self.resolution = take_given_resolution(mpp) if mpp is not None else self._find_resolution(main)

    def _find_resolution(self, image: int) -> Resolution | None:
        xml = self._tiff.ome_metadata
        tags = self._page.tags
        x_per_unit = divide(tags.valueof("XResolution", (0, 1)))
        y_per_unit = divide(tags.valueof("YResolution", (0, 1)))
        unit = int(tags.valueof("ResolutionUnit", 2))
        return settle(
            self.path,
            [
                read_ome_resolution(self.path, xml, image) if xml else None,
                read_tiff_resolution(self.path, x_per_unit, y_per_unit, unit),
            ],
        )

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return convert_samples(self._page, self._readers[level].read(x, y, width, height))

    def close(self) -> None:
        """Let go of the file; harmless when repeated."""
        self._tiff.close()


def check_page(path: Path, page: tifffile.TiffPage) -> None:
    """Refuse a page whose pixels cannot be shown as RGB.

    Raises:
        BadInputError: always with what the page holds and what could be read.
    """
    problem = find_problem(page)
    if problem:
        raise BadInputError(f"{path}: {problem}. Export it as 8-bit RGB with JPEG, LZW or deflate")


def divide(rational: tuple[int, int]) -> float:
    """The value of a TIFF rational; 0 for one over nothing."""
    return rational[0] / rational[1] if rational[1] else 0.0
