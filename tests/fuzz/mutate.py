"""Seeded damage to bytes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Mutate = Callable[[bytes, np.random.Generator], bytes]

EXTREMES = (b"\x00" * 4, b"\xff" * 4, b"\x01\x00\x00\x00", b"\xff\xff\xff\x7f", b"\x00\x00\x01\x00")
HEAD_BYTES = 512


def flip_bits(data: bytes, random: np.random.Generator) -> bytes:
    """Flip one to eight bits anywhere."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 9)):
        changed[random.integers(len(data))] ^= 1 << int(random.integers(8))
    return bytes(changed)


def flip_head_bits(data: bytes, random: np.random.Generator) -> bytes:
    """Flip one to four bits among the first bytes, where sizes and tags stand."""
    head = min(len(data), HEAD_BYTES)
    return flip_bits(data[:head], random) + data[head:]


def flip_tail_bits(data: bytes, random: np.random.Generator) -> bytes:
    """Flip bits among the last bytes, where many writers put their directories."""
    tail = min(len(data), HEAD_BYTES)
    return data[:-tail] + flip_bits(data[-tail:], random)


def cut_short(data: bytes, random: np.random.Generator) -> bytes:
    """Keep the beginning."""
    return data[: random.integers(1, len(data))]


def delete_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Take a few bytes out."""
    start = int(random.integers(len(data)))
    return data[:start] + data[start + int(random.integers(1, 9)) :]


def insert_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Put a few random bytes in."""
    start = int(random.integers(len(data)))
    return data[:start] + random.bytes(int(random.integers(1, 9))) + data[start:]


def write_extreme(data: bytes, random: np.random.Generator) -> bytes:
    """Replace four bytes by the least or the greatest number, or by another far from sensible."""
    start = int(random.integers(max(1, len(data) - 4)))
    return data[:start] + EXTREMES[random.integers(len(EXTREMES))] + data[start + 4 :]


def zero_block(data: bytes, random: np.random.Generator) -> bytes:
    """Replace a block by zeros, as file systems do after a crash."""
    start, length = int(random.integers(len(data))), int(random.integers(16, 4097))
    kept = data[start + length :]
    return data[:start] + bytes(len(data) - start - len(kept)) + kept


def swap_blocks(data: bytes, random: np.random.Generator) -> bytes:
    """Exchange two blocks of 512 bytes, as a broken copy does."""
    first, second = sorted(int(each) * 512 for each in random.integers(max(1, len(data) // 512), size=2))
    if second - first < 512:
        return cut_short(data, random)
    blocks = data[second : second + 512], data[first : first + 512]
    changed = bytearray(data)
    changed[second : second + 512] = blocks[1][: len(blocks[0])]
    changed[first : first + 512] = blocks[0] + blocks[1][len(blocks[0]) :]
    return bytes(changed)


MUTATIONS: tuple[Mutate, ...] = (
    flip_bits,
    flip_head_bits,
    flip_tail_bits,
    cut_short,
    delete_bytes,
    insert_bytes,
    write_extreme,
    zero_block,
    swap_blocks,
)
