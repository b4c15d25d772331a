"""Damage in JPEG data that decoders fill in silently."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.slides.formats.jpeg import find_jpeg_fault
from glandseg.slides.open import open_slide

END = b"\xff\xd9"


def encode(*options: int) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (80, 100, 3), np.uint8)
    return cv2.imencode(".jpg", noise, options)[1].tobytes()


@pytest.mark.parametrize(
    "options",
    [
        (),
        (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        (cv2.IMWRITE_JPEG_RST_INTERVAL, 4),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ],
)
def test_whole_jpegs_have_no_fault(options: tuple[int, ...]) -> None:
    data = encode(*options)
    assert find_jpeg_fault(data) == ""
    assert find_jpeg_fault(data + bytes(100)) == ""  # after the end, as scanners align
    assert find_jpeg_fault(data[:-2] + bytes(3) + END) == ""  # padding before it


@pytest.mark.parametrize("bad", ["missing", "junk", "marker"])
def test_damaged_jpegs_are_refused(tmp_path: Path, bad: str) -> None:
    data, middle = encode(), len(encode()) // 2
    damaged = {
        "missing": data[:middle] + data[middle + 500 :],
        "junk": data[:-2] + bytes(range(60)) + END,
        "marker": data[:middle] + b"\xff\x1a" + data[middle:],
    }[bad]
    assert find_jpeg_fault(damaged)
    (tmp_path / "a.jpg").write_bytes(damaged)
    with pytest.raises(BadInputError, match="this jpeg cannot be decoded"):
        open_slide(tmp_path / "a.jpg")


def test_tiles_are_checked_with_their_tables() -> None:
    data = encode()
    start, frame = data.index(b"\xff\xdb"), data.index(b"\xff\xc0")
    tables, tile = data[:2] + data[start:frame] + END, data[:2] + data[frame:]
    assert find_jpeg_fault(tile, tables) == ""
    assert find_jpeg_fault(tile[: len(tile) // 2] + END, tables)
