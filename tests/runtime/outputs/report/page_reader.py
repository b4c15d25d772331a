"""The packed glands of a page, read back byte by byte as its script does."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

from glandseg.runtime.outputs.report.packed import STEPS_PER_PX

Ring = list[tuple[float, float]]


def read_numbers(data: bytes) -> Iterator[int]:
    """Read variable-length integers byte by byte."""
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def read_outlines(data: bytes) -> Iterator[list[Ring]]:
    """Yield the rings of each gland, in map px."""
    numbers = read_numbers(data)
    for rings in numbers:
        yield [_read_ring(numbers) for _ in range(rings)]


def _read_ring(numbers: Iterator[int]) -> Ring:
    ring, x, y = [], 0, 0
    for _ in range(next(numbers)):
        x, y = x + _sign(next(numbers)), y + _sign(next(numbers))
        ring.append((x / STEPS_PER_PX, y / STEPS_PER_PX))
    return ring


def _sign(value: int) -> int:
    return -(value + 1) // 2 if value % 2 else value // 2


def read_page_outlines(path: Path) -> Iterator[list[Ring]]:
    """Yield the rings of each gland in a report, in map px."""
    found = re.search(rb'id="outlines">([^<]*)<', path.read_bytes())
    assert found
    yield from read_outlines(zlib.decompress(base64.b64decode(found[1])))
