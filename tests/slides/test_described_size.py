"""The size that an Aperio description is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from glandseg.core.errors import BadInputError
from glandseg.slides.described_size import find_described_size, state_by_size, warn_of_size
from glandseg.slides.open import open_slide

FULL = "Aperio Image Library v10\r\n46920x33014 [0,100 46000x32914] (256x256) JPEG/RGB Q=30|MPP = 0.5"
PLAIN = "Aperio Image Library v12\r\n2048x1024 (256x256) RGB|AppMag = 20|MPP = 0.5|OriginalWidth = 9"
ORIGINAL = "Aperio|MPP = 0.5|OriginalWidth = 2048|Originalheight = 1024"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (FULL, (46000, 32914)),
        (PLAIN, (2048, 1024)),
        (ORIGINAL, (2048, 1024)),
        ("Aperio (256x256)", None),
        ("", None),
    ],
)
def test_which_size_counts(text: str, size: tuple[int, int] | None) -> None:
    assert find_described_size(text) == size


@pytest.mark.parametrize("text", [PLAIN, ORIGINAL])
@pytest.mark.parametrize(("width", "height", "um"), [(1024, 512, 1.0), (683, 341, 1.5), (4096, 2048, 0.25)])
def test_shrunk_and_enlarged_copies_imply_another_um_per_px(
    text: str, width: int, height: int, um: float
) -> None:
    found = state_by_size(text, 0.5, (width, height))
    assert found is not None
    assert found.um_per_px == pytest.approx(um, rel=0.01)
    assert f"2048 x 1024 px, the image has {width} x {height} px" in found.source


@pytest.mark.parametrize(("width", "height", "warns"), [(2048, 1024, 0), (2000, 1000, 0), (1000, 900, 1)])
def test_parts_keep_their_um_per_px(width: int, height: int, warns: int) -> None:
    assert state_by_size(PLAIN, 0.5, (width, height)) is None
    assert len(warn_of_size(PLAIN, (width, height))) == warns


@pytest.mark.parametrize("name", ["a.svs", "a.tif"])
def test_slides_shrunk_with_their_description_are_refused(tmp_path: Path, name: str) -> None:
    text = "Aperio Image Library v12\r\n512x512 (256x256) RGB|AppMag = 20|MPP = 0.5|OriginalWidth = 512"
    image = np.full((256, 256, 3), 200, np.uint8)
    tile = {"tile": (128, 128)} if name == "a.svs" else {}
    tifffile.imwrite(
        tmp_path / name,
        image,
        photometric="rgb",
        compression="zlib",
        description=text,
        metadata=None,
        **tile,
    )
    with pytest.raises(BadInputError, match=r"the description's size \(512 x 512 px.*256 x 256 px\) 1;"):
        open_slide(tmp_path / name)
    with open_slide(tmp_path / name, 1.0) as slide:
        assert slide.resolution is not None
        assert slide.format == ("aperio" if name == "a.svs" else "tiff")
