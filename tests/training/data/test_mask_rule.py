"""Masks of other programs are read as they are meant, or refused where they have two meanings."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from glandseg.core.errors import BadInputError
from glandseg.training.data.mask_rule import Glands
from glandseg.training.data.sample import Sample


def draw_ids(count: int = 9, side: int = 240) -> NDArray[np.int32]:
    """Draw glands as discs with the ids 1 to `count` in a grid."""
    across = int(np.ceil(np.sqrt(count)))
    cell = side // across
    ids: NDArray[np.int32] = np.zeros((side, side), np.int32)
    for index in range(count):
        centre = (cell // 2 + cell * (index % across), cell // 2 + cell * (index // across))
        cv2.circle(ids, centre, cell * 2 // 5, index + 1, -1)
    return ids


IDS = draw_ids()
GLAND = IDS > 0
PLAIN = np.where(GLAND, 255, 0).astype(np.uint8)


def read(path: Path) -> Glands:
    return Sample(name="a", path=path, mask_path=path, group="a").read_glands()


def write(folder: Path, pixels: NDArray[Any], name: str = "a.png") -> Path:
    path = folder / name
    if name.endswith("tif"):
        tifffile.imwrite(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    return path


def build_voc_palette() -> list[int]:
    """The colors of Pascal VOC and labelme: bits of the index spread over red, green and blue."""
    colors = []
    for index in range(256):
        bits = [(index >> shift & 7) for shift in (0, 3, 6)]
        colors += [
            sum((part >> channel & 1) << (7 - i) for i, part in enumerate(bits)) for channel in range(3)
        ]
    return colors


def save_palette(path: Path, index: NDArray[np.uint8], palette: list[int]) -> Path:
    image = Image.frombytes("P", index.shape[::-1], index.tobytes())
    image.putpalette(palette)
    image.save(path)
    return path


@pytest.mark.parametrize("count", [1, 9, 128, 144, 200])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_ids_are_gland_whatever_their_number(tmp_path: Path, count: int, kind: type) -> None:
    ids: NDArray[Any] = draw_ids(count, 900).astype(kind)
    found = read(write(tmp_path, ids))
    np.testing.assert_array_equal(found.gland, ids > 0)
    assert found.ids is not None and len(np.unique(found.ids)) == count + 1


@pytest.mark.parametrize("first", [100, 120, 128, 240])
def test_ids_may_begin_high(tmp_path: Path, first: int) -> None:
    found = read(write(tmp_path, np.where(GLAND, IDS + first, 0).astype(np.uint8)))
    np.testing.assert_array_equal(found.gland, GLAND)


@pytest.mark.parametrize(
    "pixels",
    [
        PLAIN,
        PLAIN // 255,
        PLAIN.astype(np.uint16) * 257,
        np.dstack([PLAIN] * 3),
        np.dstack([PLAIN, PLAIN * 0, PLAIN * 0]),
        np.where(GLAND, 235, 16).astype(np.uint8),
        (IDS % 3 * 85 + 85 * GLAND).astype(np.uint8),
    ],
    ids=["0 255", "0 1", "16 bit", "rgb", "red on black", "video range", "scaled ids"],
)
def test_plain_masks(tmp_path: Path, pixels: NDArray[Any]) -> None:
    np.testing.assert_array_equal(read(write(tmp_path, pixels)).gland, GLAND)


@pytest.mark.parametrize("kind", [np.bool_, np.uint8, np.uint16, np.int32, np.float32])
def test_tiffs_of_any_number_type(tmp_path: Path, kind: type) -> None:
    np.testing.assert_array_equal(read(write(tmp_path, GLAND.astype(kind), "a.tif")).gland, GLAND)


def test_white_is_zero_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, ~GLAND, photometric="miniswhite", software="another program")
    found = read(path)
    np.testing.assert_array_equal(found.gland, GLAND)
    assert "what is shown white is taken for gland" in found.note
    tifffile.imwrite(path, GLAND, photometric="miniswhite")
    np.testing.assert_array_equal(read(path).gland, GLAND)


@pytest.mark.parametrize("quality", [30, 75, 95])
def test_smooth_edges_are_split_in_the_middle(tmp_path: Path, quality: int) -> None:
    jpeg = cv2.imdecode(cv2.imencode(".jpg", PLAIN, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0)
    for name in ("a.png", "a.jpg"):
        assert (read(write(tmp_path, np.asarray(jpeg, np.uint8), name)).gland != GLAND).mean() < 0.01
    smooth = cv2.GaussianBlur(PLAIN, (0, 0), quality / 20)
    found = read(write(tmp_path, np.asarray(smooth, np.uint8)))
    np.testing.assert_array_equal(found.gland, smooth > 127)
    assert found.ids is None


def test_palettes_go_by_index(tmp_path: Path) -> None:
    ids = draw_ids(30).astype(np.uint8)
    found = read(save_palette(tmp_path / "a.png", ids, build_voc_palette()))
    np.testing.assert_array_equal(found.gland, ids > 0)
    assert found.ids is not None and found.ids.max() == 30
    rgb = np.array(build_voc_palette(), np.uint8).reshape(-1, 3)[ids]
    colored = read(write(tmp_path, rgb))
    np.testing.assert_array_equal(colored.gland, ids > 0)
    assert "several colors" in colored.note


def test_grey_palettes_go_by_level(tmp_path: Path) -> None:
    inverted = [255 - level for level in range(256) for _ in range(3)]
    found = read(save_palette(tmp_path / "a.png", np.where(GLAND, 0, 255).astype(np.uint8), inverted))
    np.testing.assert_array_equal(found.gland, GLAND)


def test_opacity_alone_is_the_mask(tmp_path: Path) -> None:
    for color in (0, 255):
        found = read(write(tmp_path, np.dstack([np.full((*GLAND.shape, 3), color, np.uint8), PLAIN])))
        np.testing.assert_array_equal(found.gland, GLAND)
        assert "what is opaque is taken for gland" in found.note
    clear = read(write(tmp_path, np.dstack([PLAIN, PLAIN * 0, PLAIN * 0, PLAIN])))
    np.testing.assert_array_equal(clear.gland, GLAND)


RED_GREEN = np.dstack([PLAIN, 255 - PLAIN, PLAIN * 0])
VOID = np.where(cv2.dilate(PLAIN, np.ones((5, 5), np.uint8)) > PLAIN, 255, IDS).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (RED_GREEN, "colored without black"),
        (np.where(RED_GREEN > 0, 255, 128).astype(np.uint8), "colored without black"),
        (VOID, "has ids up to 9 and 255, which may be void or gland"),
        (np.where(GLAND, 1, 255).astype(np.uint8) * (IDS != 5), "has ids up to 1 and 255"),
        (np.where(GLAND, 2, 1).astype(np.uint8), "several levels and no 0"),
        (np.where(GLAND, 250, 200).astype(np.uint8), "several levels and no 0"),
        (np.dstack([RED_GREEN, PLAIN * 0]), "wholly transparent"),
        (np.dstack([RED_GREEN, PLAIN]), "colors where it is transparent"),
    ],
    ids=["red green", "bright", "void", "void 1", "1 and 2", "two high", "transparent", "hidden colors"],
)
def test_two_meanings_are_refused(tmp_path: Path, pixels: NDArray[Any], reason: str) -> None:
    with pytest.raises(BadInputError, match=rf"a\.png: as a mask it .*{reason}.*0 for all else") as caught:
        read(write(tmp_path, pixels.astype(np.uint8)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [np.nan, -1.0, 2.5])
def test_numbers_that_are_no_mask_are_refused(tmp_path: Path, values: float) -> None:
    with pytest.raises(BadInputError, match=r"a\.tif: as a mask it has"):
        read(write(tmp_path, np.where(GLAND, values, 0).astype(np.float32), "a.tif"))


def test_a_palette_without_black_background_is_refused(tmp_path: Path) -> None:
    palette = [0, 255, 0, 255, 0, 0] + [0] * 762
    with pytest.raises(BadInputError, match="a palette whose first color"):
        read(save_palette(tmp_path / "a.png", GLAND.astype(np.uint8), palette))


def test_a_stack_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is a stack of several planes"):
        read(write(tmp_path, np.stack([PLAIN, PLAIN]), "a.tif"))


def test_a_damaged_mask_is_refused(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(PLAIN).save(whole, "PNG")
    for name, content in (("a.png", whole.getvalue()[:300]), ("a.tif", b"II*\0\x08\0\0\0" + b"\xff" * 40)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadInputError, match=name):
            read(tmp_path / name)
