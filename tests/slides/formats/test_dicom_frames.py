"""Where the JPEG frames of a DICOM slide lie."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.slides.formats.dicom_frames import build_tiles, list_frame_tiles, read_frames
from glandseg.slides.open import open_slide
from glandseg.slides.slide import UnreadableError

UNDEFINED = 0xFFFFFFFF


def encode(seed: int) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    data = cv2.imencode(".jpg", noise)[1].tobytes()
    return data + b"\0" * (len(data) % 2)


def pack(group: int, element: int, kind: bytes, value: bytes) -> bytes:
    return struct.pack("<HH", group, element) + kind + struct.pack("<H", len(value)) + value


def write_level(
    path: Path, frames: list[bytes], *, size_wh: tuple[int, int] = (128, 100), kind: bytes = b"TILED_FULL"
) -> Path:
    items = [b"", *frames]
    path.write_bytes(
        bytes(128)
        + b"DICM"
        + pack(2, 0x10, b"UI", b"1.2.840.10008.1.2.4.50")
        + pack(0x20, 0xE, b"UI", b"1.23")
        + pack(0x20, 0x9311, b"CS", kind)
        + pack(0x28, 0x10, b"US", struct.pack("<H", 64))
        + pack(0x28, 0x11, b"US", struct.pack("<H", 64))
        + pack(0x48, 6, b"UL", struct.pack("<I", size_wh[0]))
        + pack(0x48, 7, b"UL", struct.pack("<I", size_wh[1]))
        + struct.pack("<HH2s2xI", 0x7FE0, 0x10, b"OB", UNDEFINED)
        + b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
        + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    )
    return path


def test_frames_are_found_in_order(tmp_path: Path) -> None:
    stored = [encode(seed) for seed in range(4)]
    path = write_level(tmp_path / "a.dcm", stored)
    frames = read_frames(path)
    assert frames is not None
    assert (frames.size_wh, frames.tile_wh, frames.across, frames.is_full) == ((128, 100), (64, 64), 2, True)
    data = path.read_bytes()
    assert [data[offset : offset + size] for offset, size in frames.places] == stored


def test_a_damaged_frame_is_noticed_where_it_lies(tmp_path: Path) -> None:
    stored = [encode(seed) for seed in range(4)]
    stored[3] = stored[3][:900] + b"\xff\xd9" + stored[3][902:]  # an end mark, long before the end
    path = write_level(tmp_path / "a.dcm", stored)
    frames = read_frames(path)
    assert frames is not None
    tiles = build_tiles(path, frames)
    tiles.check(0, 0, 128, 64)
    tiles.check(0, 64, 64, 36)
    with pytest.raises(ValueError, match="Corrupt JPEG data"):
        tiles.check(60, 60, 10, 10)
    tiles.close()


def test_levels_that_cannot_be_looked_at(tmp_path: Path) -> None:
    frames = [encode(seed) for seed in range(4)]
    files = (
        write_level(tmp_path / "a.dcm", frames, kind=b"TILED_SPARSE"),
        write_level(tmp_path / "b.dcm", frames[:3]),
        write_level(tmp_path / "c.dcm", frames, size_wh=(64, 256)),
    )
    (tmp_path / "d.dcm").write_bytes(files[2].read_bytes()[:-300])
    assert read_frames(tmp_path / "d.dcm") is None
    found = list_frame_tiles(files, [(128, 100), (64, 256), (32, 32)])
    assert [tiles is not None for tiles in found] == [False, True, False]
    for tiles in found:
        if tiles is not None:
            tiles.close()


@pytest.mark.shared
def test_real_slide_with_a_damaged_frame(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "level-0-frames-0-30.dcm"
    shutil.copyfile(shared_data / "slides/dicom-cmu-1-small-region" / path.name, path)
    frames = read_frames(path)
    assert frames is not None
    offset, size = frames.places[7]
    data = bytearray(path.read_bytes())
    data[offset + size // 2 : offset + size // 2 + 2] = b"\xff\xd9"  # OpenSlide fills the rest with gray
    path.write_bytes(data)
    with open_slide(path) as slide:
        assert slide.read_region(0, 0, 0, 400, 400).std() > 0
        with pytest.raises(UnreadableError, match="Corrupt JPEG data"):
            slide.read_region(0, 0, 0, slide.width_l0, slide.height_l0)
