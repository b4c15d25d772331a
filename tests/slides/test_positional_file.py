"""Files read at positions."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from glandseg.slides.positional_file import PositionalFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "a.bin"
    found.write_bytes(bytes(i % 251 for i in range(100_000)))
    return found


@pytest.mark.parametrize("positional", [True, False])
def test_threads_read_their_own_place(path: Path, positional: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not positional:
        monkeypatch.delattr(os, "pread", raising=False)
    data, file = path.read_bytes(), PositionalFile(path)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda i: file.read(i * 100, 100), range(1000)))
    assert b"".join(parts) == data
    assert file.reread(50, 10) == data[50:60]
    file.close()
    file.close()


def test_the_end_is_told(path: Path) -> None:
    file = PositionalFile(path)
    with pytest.raises(EOFError, match="ends 10 bytes early"):
        file.read(99_990, 20)
    with pytest.raises(EOFError, match="ends 5 bytes early"):
        file.read(200_000, 5)
    file.close()
