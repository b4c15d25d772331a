"""Image files: which there are in a folder, and their pixels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
WHITE = 215  # a pixel whose darkest channel is brighter counts as background


def find_images(folder: Path) -> dict[str, Path]:
    """Give a folder's images by stem; where several share one, the first in the order of `IMAGE_SUFFIXES`."""
    if not folder.is_dir():
        return {}
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    images.sort(key=lambda path: (-IMAGE_SUFFIXES.index(path.suffix.lower()), path.name))
    return {path.stem: path for path in images}


def note_unpaired(images: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[str, ...]:
    """Say which images have no mask and are left out; nothing where all have one."""
    lacking = sorted(name for name in images if name not in masks)
    if not lacking:
        return ()
    named = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
    return (f"{len(lacking)} of {len(images)} images without a mask are left out: {named}",)


def decode_image(path: Path, flags: int) -> NDArray[np.uint8]:
    """Decode an image file as OpenCV's `flags` say.

    Raises:
        BadInputError: if it is missing or not an image.
    """
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = cv2.imdecode(data, flags) if data.size else None
    if image is None:
        raise BadInputError(
            f"{path}: not an image that can be decoded. Replace it or take it out of the folder."
        )
    return np.asarray(image)


def encode_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 as PNG."""
    stored = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    cv2.imencode(".png", stored)[1].tofile(path)


def measure_white(image: NDArray[np.uint8]) -> float:
    """Give the share of white in an image, (H, W, 3) uint8."""
    return float((image.min(axis=2) > WHITE).mean())
