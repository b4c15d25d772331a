"""Opens any slide or picture: what is in the file decides, not what it is called."""

from __future__ import annotations

from pathlib import Path

from glandseg.runtime.errors import BadInputError, EnvironmentLacksError
from glandseg.runtime.slides.openslide_slide import OpenSlideSlide, detect_vendor
from glandseg.runtime.slides.picture_slide import PictureSlide, detect_picture
from glandseg.runtime.slides.reader import CACHE_BYTES, Level, Slide
from glandseg.runtime.slides.tiff_slide import TiffSlide, detect_tiff

__all__ = ["Level", "Slide", "open_slide"]

KNOWN = "OpenSlide's formats (SVS, NDPI, MRXS, SCN, DICOM, ...), TIFF, OME-TIFF, PNG, JPEG, WebP and BMP"


def open_slide(path: Path, mpp: float | None = None, cache_bytes: int = CACHE_BYTES) -> Slide:
    """Open a slide or picture for reading; close it, or use it as a context manager.

    Args:
        path: the file; for DICOM one .dcm of the series, for MRXS the .mrxs beside its folder.
        mpp: um per level-0 px, in place of what the file says.
        cache_bytes: of memory for decoded tiles.

    Raises:
        BadInputError: no such file, not a slide or picture, damaged, or resolutions in conflict.
        EnvironmentLacksError: the file may not be read.
    """
    head = read_head(path)
    vendor = detect_vendor(path)
    if vendor:
        return OpenSlideSlide(path, vendor, mpp, cache_bytes)
    if detect_tiff(head):
        return TiffSlide(path, mpp, cache_bytes)
    picture = detect_picture(head)
    if picture:
        return PictureSlide(path, picture, mpp)
    raise BadInputError(
        f"{path}: holds no slide or picture that is known; known are {KNOWN}. Export it as one of these"
    )


def read_head(path: Path) -> bytes:
    """The first 12 bytes of a file.

    Raises:
        BadInputError: missing, a folder, or empty.
        EnvironmentLacksError: the file may not be read.
    """
    try:
        if path.is_dir():
            raise BadInputError(f"{path}: is a folder; a slide is a file. Give one file in it")
        with path.open("rb") as file:
            head = file.read(12)
    except FileNotFoundError as error:
        raise BadInputError(f"{path}: there is no such file. Check the path") from error
    except OSError as error:
        raise EnvironmentLacksError(
            f"{path}: may not or cannot be read ({error.strerror}). Give this user read permission"
        ) from error
    if not head:
        raise BadInputError(f"{path}: is empty (0 bytes). Copy it again")
    return head
