"""Damage in JPEG data that decoders fill in silently.

A JPEG has no checksum. Its decoder notices most damage by codes that do not fit, and then only warns: OpenCV
prints it, imagecodecs, OpenSlide and Pillow drop it, and the px come out wrong. simplejpeg reports it. Damage
that leaves all codes valid cannot be noticed by anyone.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from types import ModuleType

# What is said of damage; other complaints are about versions, or about kinds that are not supported.
FAULTS = (
    "bogus",
    "corrupt jpeg data",
    "huffman table",
    "invalid jpeg file structure",
    "premature end",
    "quantization table",
    "unsupported marker",
)
EXTRA = re.compile(r"(\d+) extraneous bytes")
JPEG_END = b"\xff\xd9"


def find_jpeg_fault(data: bytes, tables: bytes = b"") -> str:
    """Return what is wrong with a JPEG's data; empty where nothing is noticed, or no check is possible.

    Args:
        data: JPEG stream, of a file or of a TIFF's tile.
        tables: TIFF's JPEGTables, which the tiles then lack.
    """
    checker = import_checker()
    if checker is None:
        return ""
    whole = tables[:-2] + data[2:] if tables else data
    try:
        colorspace = checker.decode_jpeg_header(whole, strict=False)[2]
        checker.decode_jpeg(whole, "CMYK" if colorspace in {"CMYK", "YCCK"} else "GRAY", strict=True)
    except KeyError:  # colors of another kind than simplejpeg knows
        return ""
    except ValueError as error:
        said = str(error)
        return said if is_damage(said) and not is_padding(said, whole) else ""
    return ""


@cache
def import_checker() -> ModuleType | None:
    """Import simplejpeg; return None where it is not installed, so damage shows only where decoding fails."""
    try:
        return importlib.import_module("simplejpeg")
    except ImportError:
        return None


def is_damage(said: str) -> bool:
    """Return whether a complaint is of damaged px rather than of a header."""
    return said.lower().startswith(FAULTS) and "icc" not in said.lower()


def is_padding(said: str, data: bytes) -> bool:
    """Return whether extraneous bytes are of one value before the end mark, as some encoders pad."""
    found, end = EXTRA.search(said), data.rfind(JPEG_END)
    return found is not None and end >= 0 and len(set(data[end - int(found[1]) : end])) == 1
