"""Tags that cannot be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from glandseg.core.errors import BadInputError
from glandseg.slides.open import open_slide

HOW: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": "lzw", "predictor": True}


def damage(path: Path, code: int, at: int, value: int) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    tifffile.imwrite(path, pixels, **HOW)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.tags[code].offset
    data = bytearray(path.read_bytes())
    data[offset + at] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("code", [256, 257, 258, 259, 262, 277, 284, 317, 322, 323])
@pytest.mark.parametrize("kind", [0, 2, 5, 7, 12, 200])
def test_an_essential_tag_of_another_type_is_no_default(tmp_path: Path, code: int, kind: int) -> None:
    with pytest.raises(BadInputError, match=r"a\.tif: .*damaged"):
        open_slide(damage(tmp_path / "a.tif", code, 2, kind))


def test_a_tag_whose_values_lie_elsewhere_is_no_default(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="BitsPerSample cannot be read"):
        open_slide(damage(tmp_path / "a.tif", 258, 6, 255))
