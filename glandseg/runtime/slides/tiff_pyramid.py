"""Which pages of a TIFF are its picture and the smaller copies of it."""

from __future__ import annotations

import struct
from pathlib import Path

import tifffile

from glandseg.runtime.errors import BadInputError


def check_chain(tiff: tifffile.TiffFile) -> None:
    """Follow the pages to the last one, which must not point on, beyond the end of the file.

    Raises:
        EOFError: it does; tifffile only logs that.
    """
    layout, file = tiff.tiff, tiff.filehandle
    file.seek(tiff.pages[-1].offset)
    (tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(tags * layout.tagsize, 1)
    (following,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
    if following >= file.size:
        raise EOFError(f"its next page would begin at byte {following:,} of {file.size:,}")


def find_pyramid(path: Path, tiff: tifffile.TiffFile) -> tuple[int, list[tifffile.TiffPage]]:
    """The index of the series with the largest picture, and its pages from large to small."""
    series = [s for s in tiff.series if s.pages and s.pages[0] is not None]
    if not series:
        raise BadInputError(f"{path}: this TIFF holds no picture: damaged or cut short. Export it again")
    main = max(range(len(series)), key=lambda i: measure_pixels(series[i].pages[0]))
    if len(series[main].pages) > 1:
        raise BadInputError(
            f"{path}: holds {len(series[main].pages)} planes (axes {series[main].axes}), as fluorescence or "
            f"a stack does; one RGB picture is read. Export it as RGB (bioformats: raw2ometiff --rgb)"
        )
    full = series[main].pages[0]
    others = [level.pages[0] for s in series for level in s.levels if level.pages[0] is not full]
    return main, [full, *pick_levels(full, others)]


def pick_levels(full: tifffile.TiffPage, pages: list[tifffile.TiffPage | None]) -> list[tifffile.TiffPage]:
    """The pages that are smaller copies of `full`: same proportions and kind of pixels, large to small."""
    levels = {page.shape: page for page in pages if page is not None and is_smaller_copy(full, page)}
    return sorted(levels.values(), key=measure_pixels, reverse=True)


def is_smaller_copy(full: tifffile.TiffPage, page: tifffile.TiffPage) -> bool:
    """Whether a page can be a level: at most half as large, proportions equal within a px of rounding."""
    same_kind = all(
        getattr(page, name) == getattr(full, name) for name in ("photometric", "samplesperpixel", "dtype")
    )
    factor = full.imagewidth / page.imagewidth
    return bool(same_kind and factor > 1.5 and abs(full.imagelength / factor - page.imagelength) <= 1)


def measure_pixels(page: tifffile.TiffPage) -> int:
    """How many px a page has."""
    return int(page.imagewidth) * int(page.imagelength)
