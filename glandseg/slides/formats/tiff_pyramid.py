"""Pages of a TIFF that can be smaller copies of another, or hide several planes, by their tags."""

from __future__ import annotations

import json
from dataclasses import dataclass

import tifffile

PLANES_OF_METAMORPH = 33629  # tag UIC2, one value per plane


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A page that may be a smaller copy of the slide.

    Attributes:
        page: Page of the TIFF.
        number: Name in messages, "Page 3" or "Sub-image 1".
        is_own: Whether it is in the slide's own SubIFDs, so a copy unless its px differ.
    """

    page: tifffile.TiffPage
    number: str
    is_own: bool


def list_own_copies(full: tifffile.TiffPage) -> list[Candidate]:
    """List the pages in a page's SubIFDs that can be smaller copies of it, large to small."""
    found = []
    for number, offset in enumerate(full.subifds or ()):
        try:
            full.parent.filehandle.seek(offset)
            page = tifffile.TiffPage(full.parent, index=(int(full.index), number))
        except Exception:  # damaged: it is left out
            continue
        if is_smaller_copy(full, page):
            found.append(Candidate(page=page, number=f"Sub-image {number + 1}", is_own=True))
    return sorted(found, key=lambda c: -count_pixels(c.page))


def count_hidden_planes(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> int:
    """Count the planes that ImageJ, MetaMorph and tifffile store in one page."""
    counts = [1, int(page.tags[PLANES_OF_METAMORPH].count) if PLANES_OF_METAMORPH in page.tags else 1]
    counts.append(int((tiff.imagej_metadata or {}).get("images", 1)) if len(tiff.pages) == 1 else 1)
    if page.description.startswith('{"shape":'):
        try:
            header = json.loads(page.description)
            whole, own = (tifffile.product(shape) for shape in (header["shape"], page.shape))
        except (ValueError, TypeError, KeyError):
            return max(counts)
        counts.append(int(whole) // int(own) if header.get("truncated") else 1)
    return max(counts)


def is_same_kind(full: tifffile.TiffPage, page: tifffile.TiffPage) -> bool:
    """Return whether two pages have the same size and kind of px."""
    names = ("imagewidth", "imagelength", "photometric", "samplesperpixel", "dtype")
    return all(getattr(page, name) == getattr(full, name) for name in names)


def is_smaller_copy(full: tifffile.TiffPage, page: tifffile.TiffPage) -> bool:
    """Return whether a page can be a level: over 1.5 times smaller, in proportion within a px of rounding."""
    same_kind = all(
        getattr(page, name) == getattr(full, name) for name in ("photometric", "samplesperpixel", "dtype")
    )
    if not same_kind or not page.imagewidth:
        return False
    factor = full.imagewidth / page.imagewidth
    return bool(factor > 1.5 and abs(full.imagelength / factor - page.imagelength) <= 1)


def count_pixels(page: tifffile.TiffPage) -> int:
    """Return the number of px of a page."""
    return int(page.imagewidth) * int(page.imagelength)
