"""OpenSlide's handle for DICOM, whose levels are first read by one thread each."""

from __future__ import annotations

import threading
from pathlib import Path

import openslide
from PIL import Image


class DicomHandle(openslide.OpenSlide):  # type: ignore[misc]
    """An OpenSlide handle that lets one thread at a time read a level until a first read succeeds.

    libdicom (1.3.0, in OpenSlide 4.0.1) lists the places of a file's frames at the first read. If the list
    fails, as it does in a file cut short, it stays half filled, and a thread that waited for it reads frames
    at random places: the process dies, or wrong px pass as right ones. After a failure OpenSlide refuses
    every later read, so it is enough that nobody waits inside of it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._listed: set[int] = set()
        self._lock = threading.Lock()

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        """Read px as `openslide.OpenSlide.read_region` does.

        Raises:
            openslide.OpenSlideError: The px cannot be read.
        """
        if level in self._listed:
            known: Image.Image = super().read_region(location, level, size)
            return known
        with self._lock:
            region: Image.Image = super().read_region(location, level, size)
            self._listed.add(level)
        return region
