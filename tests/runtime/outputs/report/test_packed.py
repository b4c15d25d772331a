"""Glands packed for the page come out as they went in, and the stream stays within its size."""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely import Polygon, box

from glandseg.runtime.outputs.report.packed import (
    STEPS_PER_PX,
    PackedRecords,
    encode_varints,
    pack_outline,
)
from tests.runtime.outputs.report.page_reader import read_numbers, read_outlines


def test_integers_of_any_length_are_read_back() -> None:
    numbers = np.array([0, 1, 127, 128, 300, 16_383, 16_384, 2**28, 2**35 - 1])
    assert list(read_numbers(encode_varints(numbers))) == numbers.tolist()
    assert len(encode_varints(np.array([127]))) == 1


def test_an_outline_and_its_lumen_are_read_back_to_an_eighth_of_a_px() -> None:
    outer = shapely.affinity.rotate(box(90_000.1, 10.3, 90_060.7, 44.9), 31)
    gland = Polygon(outer.exterior, [shapely.affinity.scale(outer, 0.3, 0.3).exterior])
    (rings,) = read_outlines(pack_outline(gland))
    assert len(rings) == 2
    for ring, contour in zip(rings, (gland.exterior, *gland.interiors), strict=True):
        assert np.abs(np.array(ring) - shapely.get_coordinates(contour)[:-1]).max() <= 0.5 / STEPS_PER_PX


def test_records_are_taken_until_the_text_is_full(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (3000, 100)).astype(np.uint8)
    with PackedRecords(tmp_path, 100_000) as full, PackedRecords(tmp_path, 1e9) as whole:
        for record in noise:
            full.add(record.tobytes())
            whole.add(record.tobytes())
        texts = [io.BytesIO(), io.BytesIO()]
        for records, text in zip((full, whole), texts, strict=True):
            records.write_text(text)
        part, all_of_them = (zlib.decompress(base64.b64decode(text.getvalue())) for text in texts)
        assert (whole.count, whole.is_full, all_of_them) == (3000, False, noise.tobytes())
        assert full.is_full
        assert part == noise[: full.count].tobytes()
        assert 100_000 <= len(texts[0].getvalue()) < 160_000
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("most", [0, 1])
def test_no_room_takes_nothing_or_one(tmp_path: Path, most: int) -> None:
    with PackedRecords(tmp_path, most) as records:
        records.add(b"a gland")
        assert records.count == (1 if most else 0)
