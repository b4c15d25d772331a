"""Opening any slide or image: the file's content decides its reader, not its name."""

from __future__ import annotations

from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.slides.formats.image import ImageSlide, detect_image_format
from glandseg.slides.formats.tiff import TiffSlide, detect_tiff
from glandseg.slides.formats.vendor import OpenSlideSlide, detect_vendor
from glandseg.slides.path_check import check_stands_alone, describe_unknown, read_head
from glandseg.slides.slide import CACHE_BYTES, Level, Slide

__all__ = ["Level", "Slide", "open_slide"]

KNOWN = "OpenSlide's formats (SVS, NDPI, MRXS, SCN, DICOM, ...), TIFF, OME-TIFF, PNG, JPEG, WebP and BMP"

VENDOR_SUFFIXES = (".bif", ".ndpi", ".scn", ".svs", ".svslide")


def open_slide(path: Path, mpp: float | None = None, cache_bytes: int = CACHE_BYTES) -> Slide:
    """Open a slide or image for reading; close it, or use it as a context manager.

    Args:
        path: Slide file; for DICOM one .dcm of the series, for MRXS the .mrxs beside its folder.
        mpp: um per level-0 px, in place of the file's.
        cache_bytes: Memory for decoded tiles.

    Raises:
        BadInputError: The file is missing, not a slide or image, damaged, or its um/px conflict.
        EnvironmentLacksError: This user may not read the file.
    """
    head = read_head(path)
    vendor = detect_vendor(path)
    if vendor:
        return OpenSlideSlide(path, vendor, mpp, cache_bytes)
    check_stands_alone(path)
    if detect_tiff(head):
        tiff = TiffSlide(path, mpp, cache_bytes)
        tiff.warnings += warn_of_suffix(path)
        return tiff
    image = detect_image_format(head)
    if image:
        return ImageSlide(path, image, mpp)
    raise BadInputError(describe_unknown(path, KNOWN))


def warn_of_suffix(path: Path) -> tuple[str, ...]:
    """Warn of a TIFF that is named like a vendor's slide, but is not recognised as one by OpenSlide."""
    if path.suffix.lower() not in VENDOR_SUFFIXES:
        return ()
    return (
        f"OpenSlide does not recognise this {path.suffix}, so it is read as a plain TIFF: it may be damaged "
        "or written by another program, so look at the overview",
    )
