"""Readers of a TIFF's slide and its smaller copies, each checked before use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.core.units import GIB
from glandseg.slides.cache import ArrayCache
from glandseg.slides.formats.tiff_checks import find_layout_problem
from glandseg.slides.formats.tiff_choice import Choice
from glandseg.slides.formats.tiff_layout import SegmentLayout
from glandseg.slides.formats.tiff_likeness import Sample, compare
from glandseg.slides.formats.tiff_page import ReadBytes, TiffPageReader
from glandseg.slides.formats.tiff_probe import correct_colors, probe_page
from glandseg.slides.formats.tiff_pyramid import Candidate
from glandseg.slides.formats.tiff_samples import convert_samples, find_problem

SEGMENT_SHARE = 16  # times the cache's bound, for decoded tiles or strips: a quarter of --max-ram
SMALL_BYTES = 64 << 20  # always allowed for them


class LevelBuilder:
    """Builder of the readers of a slide's levels.

    Args:
        path: TIFF file, for messages.
        read_bytes: Called with (offset, count); returns the bytes.
        cache: Cache of decoded tiles and strips of all levels.
        count: Called with the number of px decoded.
    """

    def __init__(
        self, path: Path, read_bytes: ReadBytes, cache: ArrayCache, count: Callable[[int], None]
    ) -> None:
        self._path = path
        self._read_bytes = read_bytes
        self._cache = cache
        self._count = count
        self._most_bytes = max(SEGMENT_SHARE * cache.max_bytes, SMALL_BYTES)

    def build(self, choice: Choice) -> tuple[list[TiffPageReader], list[str]]:
        """Build a reader for each level, large to small, and warnings about candidates that are not levels.

        Raises:
            BadInputError: The slide itself cannot be read.
        """
        self._check(choice.page)
        for page in (choice.page, *choice.doubtful):
            problem = self._probe(page)
            if problem:
                raise BadInputError(
                    f"{self._path}: page {page.index + 1}: {problem}: damaged. Copy or export it again."
                )
        for page in (choice.page, *(candidate.page for candidate in choice.candidates)):
            correct_colors(page, self._read_bytes)
        readers, warnings = [TiffPageReader(choice.page, self._cache, self._count)], []
        for candidate in choice.candidates:
            problem = self._find_fault(candidate, readers[-1])
            if problem:
                page = candidate.page
                warnings.append(f"{candidate.number} ({page.imagewidth} x {page.imagelength} px) {problem}.")
            elif candidate.page.imagewidth < readers[-1].layout.width:
                readers.append(TiffPageReader(candidate.page, self._cache, self._count))
        return readers, warnings

    def _check(self, page: tifffile.TiffPage) -> None:
        """Check that a page can be read and shown as RGB, and fits in memory.

        Raises:
            BadInputError: It cannot, or does not.
        """
        problem = find_layout_problem(page)
        if problem:
            raise BadInputError(f"{self._path}: {problem}: damaged or cut short. Copy or export it again.")
        problem = find_problem(page)
        if problem:
            raise BadInputError(f"{self._path}: {problem}. Export it as 8-bit RGB with JPEG, LZW or deflate.")
        layout = SegmentLayout(page)
        if layout.held_bytes > self._most_bytes:
            raise BadInputError(
                f"{self._path}: its tiles or strips are {layout.segment_width:,} x {layout.segment_height:,} "
                f"px, which take {layout.held_bytes / GIB:.2g} GiB of memory when decoded; "
                f"{self._most_bytes / GIB:.2g} GiB, a quarter of --max-ram, may go to that. "
                f"Convert it to a tiled TIFF, or give --max-ram {-(-4 * layout.held_bytes // GIB)}."
            )

    def _probe(self, page: tifffile.TiffPage) -> str | None:
        """Return how a page's first tile or strip contradicts its tags; None if not, or if undecodable."""
        if find_layout_problem(page) or find_problem(page):
            return None
        is_small = SegmentLayout(page).held_bytes <= self._most_bytes
        return probe_page(page, self._read_bytes) if is_small else None

    def _find_fault(self, candidate: Candidate, last: TiffPageReader) -> str | None:
        """Return why a page is not the next level; None if it is."""
        page = candidate.page
        if find_problem(page) or find_layout_problem(page) or self._probe(page):
            return "is no level that can be read: it is left out"
        if SegmentLayout(page).held_bytes > self._most_bytes:
            return "is a level of tiles or strips too large for --max-ram: it is left out"
        likeness = compare(self._show(last), self._show(TiffPageReader(page, self._cache, self._count)))
        if likeness.is_refuted or not (likeness.is_proven or candidate.is_own):
            return "has the slide's proportions, but its px do not prove it a copy: it is passed over"
        return None

    def _show(self, reader: TiffPageReader) -> Sample:
        def read(x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
            return convert_samples(reader.page, reader.read(self._read_bytes, x, y, width, height))

        return Sample(read, reader.layout.width, reader.layout.height)
