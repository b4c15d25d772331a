"""TIFF files of noise with chosen tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile


def write_tiff(
    path: Path, tags: dict[int, Any] | None = None, *, size: tuple[int, int] = (200, 300), **options: Any
) -> Path:
    """Write an RGB TIFF of noise, then overwrite tags of its page."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    tifffile.imwrite(path, pixels, **{"photometric": "rgb", **options})
    for tag, value in (tags or {}).items():
        overwrite_tag(path, tag, value)
    return path


def overwrite_tag(path: Path, tag: int | str, value: Any, page: int = 0) -> Path:
    """Overwrite a tag of a page, by its code or name."""
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages[page].tags[tag].overwrite(value)
    return path
