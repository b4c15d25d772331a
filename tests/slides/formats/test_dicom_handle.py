"""Threads that read a damaged DICOM slide at the same time all fail: none crashes or gets wrong px."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openslide
import pytest

from glandseg.slides.formats.dicom_handle import DicomHandle


def read_together(handle: openslide.OpenSlide, level: int = 0, threads: int = 4) -> list[Any]:
    """Return what each of several threads that start at once reads: a region, or the error."""
    barrier = threading.Barrier(threads)

    def read(index: int) -> Any:
        barrier.wait()
        try:
            return handle.read_region((index * 256, 0), level, (256, 256))
        except openslide.OpenSlideError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(read, range(threads)))


@pytest.mark.shared
def test_a_slide_cut_short(shared_data: Path, tmp_path: Path) -> None:
    data = (shared_data / "slides/camelyon_multiframe.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(data[: len(data) // 2])
    for _ in range(100):
        with DicomHandle(path) as handle:
            assert all(isinstance(result, openslide.OpenSlideError) for result in read_together(handle))


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], tuple[DicomHandle, list[int]]]:
    """Return a function that makes a handle over a stand-in, and the list of how many read at once."""

    def make(fails: bool) -> tuple[DicomHandle, list[int]]:
        inside, seen = [0], []

        def read(*_: Any) -> str:
            inside[0] += 1
            seen.append(inside[0])
            time.sleep(0.02)
            inside[0] -= 1
            if fails:
                raise openslide.OpenSlideError("cut short")
            return "px"

        monkeypatch.setattr(openslide.OpenSlide, "__init__", lambda *_: None)
        monkeypatch.setattr(openslide.OpenSlide, "read_region", read)
        monkeypatch.setattr(openslide.OpenSlide, "close", lambda *_: None)
        return DicomHandle(Path("a.dcm")), seen

    return make


def test_no_thread_waits_inside_a_first_read_that_fails(
    readers: Callable[[bool], tuple[DicomHandle, list[int]]],
) -> None:
    handle, seen = readers(True)
    read_together(handle)
    assert seen == [1, 1, 1, 1]


def test_threads_read_together_after_a_first_read(
    readers: Callable[[bool], tuple[DicomHandle, list[int]]],
) -> None:
    handle, seen = readers(False)
    assert handle.read_region((0, 0), 0, (1, 1)) == "px"
    assert read_together(handle) == ["px"] * 4
    assert max(seen) > 1
    seen.clear()
    handle.read_region((0, 0), 1, (1, 1))  # another level is another file
    assert seen == [1]
