"""Small image files for tests of data folders."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

PIXELS = np.eye(6, 9, dtype=np.uint8)


def write_images(folder: Path, *names: str, pixels: NDArray[np.uint8] = PIXELS) -> Path:
    """Write the same pixels under each name below a folder, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode(path.suffix, pixels)[1].tofile(path)
    return folder
