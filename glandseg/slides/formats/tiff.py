"""TIFF and OME-TIFF, tiled or in strips, with pyramids in sub-images or in further pages."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, GlandsegError, shorten
from glandseg.slides.cache import ArrayCache
from glandseg.slides.described_size import warn_of_size
from glandseg.slides.formats.tiff_checks import check_chain
from glandseg.slides.formats.tiff_choice import choose_slide
from glandseg.slides.formats.tiff_layout import SegmentLayout
from glandseg.slides.formats.tiff_levels import LevelBuilder
from glandseg.slides.formats.tiff_page import ReadBytes
from glandseg.slides.formats.tiff_samples import convert_samples, find_sample_warnings
from glandseg.slides.mpp import Power, Statement, decide_mpp, describe_statements
from glandseg.slides.mpp_sources import (
    find_description_power,
    find_ome_power,
    keep_stated,
    state_description,
    state_description_size,
    state_imagej,
    state_ome,
    state_tiff,
)
from glandseg.slides.positional_file import PositionalFile
from glandseg.slides.slide import CACHE_BYTES, CELL_PX, Slide, build_levels, cut_side

PATCHES, PATCH_PX = 8, 128  # along each side, of the patches that show the samples' range and opacity

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its warnings become our errors


def detect_tiff(head: bytes) -> bool:
    """Return whether a file's first 4 bytes announce a TIFF or BigTIFF."""
    return head[:4] in {b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"}


class TiffSlide(Slide):
    """The slide in a TIFF, its smaller copies as levels; other files and labels are never read."""

    def __init__(self, path: Path, mpp: float | None = None, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = path
        self.decoded_px = 0
        self._counting = threading.Lock()
        self._file = PositionalFile(path)
        try:
            self._tiff = tifffile.TiffFile(path, _useframes=False, _multifile=False)
        except Exception as error:
            self._file.close()
            raise self._build_damage_error(error) from error
        try:
            self._read_metadata(mpp, cache_bytes)
        except GlandsegError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self._build_damage_error(error) from error

    def _build_damage_error(self, error: Exception) -> BadInputError:
        return BadInputError(
            f"{self.path}: this TIFF cannot be read ({shorten(error)}): damaged or cut short. "
            f"Copy or export it again."
        )

    def _read_metadata(self, mpp: float | None, cache_bytes: int) -> None:
        check_chain(self._tiff)
        self.format = "ome-tiff" if self._tiff.is_ome else "tiff"
        choice = choose_slide(self.path, self._tiff)
        self._page = choice.page
        self._cache = ArrayCache(cache_bytes)
        builder = LevelBuilder(self.path, self._file.read, self._cache, self._count)
        self._readers, warnings = builder.build(choice)
        self.levels = build_levels([(r.layout.width, r.layout.height) for r in self._readers])
        self.held_bytes = max(reader.layout.held_bytes for reader in self._readers)
        statements, power = self._list_statements(choice.ome_index)
        self.statements = describe_statements(statements, power)
        self.resolution = decide_mpp(self.path, statements, power, mpp)
        self.warnings = (*choice.warnings, *warnings, *self._judge_samples())
        if mpp is None:
            self.warnings += warn_of_size(self._page.description, (self.width_l0, self.height_l0))

    def _judge_samples(self) -> tuple[str, ...]:
        """Warn of a sample range or opacity that hides the image, judged by patches of the smallest level."""
        reader = self._readers[-1]
        return find_sample_warnings(
            reader.page,
            lambda: (reader.read(self._file.read, *place) for place in list_patches(reader.layout)),
        )

    def _list_statements(self, ome_index: int | None) -> tuple[list[Statement], Power | None]:
        """List the um/px of OME-XML, ImageJ's or Aperio's description and the tags."""
        xml, tags, text = (self._tiff.ome_metadata or "").strip(), self._page.tags, self._page.description
        x_per_unit = divide(tags.valueof("XResolution", (0, 1)))
        y_per_unit = divide(tags.valueof("YResolution", (0, 1)))
        unit = int(tags.valueof("ResolutionUnit", 2))
        imagej = str((self._tiff.imagej_metadata or {}).get("unit", ""))
        power = find_ome_power(xml) if xml else None
        return keep_stated(
            state_ome(xml, ome_index) if xml and ome_index is not None else None,
            state_imagej(x_per_unit, y_per_unit, imagej),
            state_description(text),
            state_description_size(text, (self._page.imagewidth, self._page.imagelength)),
            None if imagej else state_tiff(x_per_unit, y_per_unit, unit),
        ), power or find_description_power(text)

    def _count(self, px: int) -> None:
        with self._counting:
            self.decoded_px = (self.decoded_px or 0) + px

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return self._read_with(self._file.read, level, (x, y, width, height))

    def _reread(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return self._read_with(self._file.reread, level, (x, y, width, height), last_try=True)

    def _read_with(
        self, read_bytes: ReadBytes, level: int, place: tuple[int, int, int, int], *, last_try: bool = False
    ) -> NDArray[np.uint8]:
        samples = self._readers[level].read(read_bytes, *place, last_try=last_try)
        return convert_samples(self._readers[level].page, samples)

    def get_cell_wh(self, level: int) -> tuple[int, int]:
        """Return the size of the level's tiles or strips, large ones cut up."""
        layout = self._readers[level].layout
        width, height = layout.segment_width, layout.segment_height
        if layout.is_contiguous:  # any row can be read by itself
            height = min(height, CELL_PX // 4)
        return cut_side(width), cut_side(height)

    def clear_cache(self) -> None:
        """Drop the cached tiles and strips."""
        self._cache.clear()

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._tiff.close()
        self._file.close()


def list_patches(layout: SegmentLayout) -> list[tuple[int, int, int, int]]:
    """List x, y, width and height of patches all over a page; they cover a small one."""
    width, height = min(layout.width, PATCH_PX), min(layout.height, PATCH_PX)
    lefts, tops = (
        sorted({round(i * (side - length) / (PATCHES - 1)) for i in range(PATCHES)})
        for side, length in ((layout.width, width), (layout.height, height))
    )
    return [(x, y, width, height) for y in tops for x in lefts]


def divide(rational: tuple[int, int]) -> float:
    """Return the value of a TIFF rational; 0 if its denominator is 0."""
    return rational[0] / rational[1] if rational[1] else 0.0
