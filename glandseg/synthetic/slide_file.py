"""Writing an image as a slide: a tiled, pyramidal BigTIFF with its um/px."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import tifffile

from glandseg.synthetic.canvas import U8

_TILE_PX = 256
_TOP_PX = 512
_JPEG_QUALITY = 90


def write_slide(path: Path, image: U8, um_per_px: float) -> None:
    """Write a generic pyramidal BigTIFF that OpenSlide, QuPath and tifffile open.

    JPEG tiles of 256 px, levels halved until both sides are at most 512 px; the TIFF tags state px per
    centimetre. The same image gives the same bytes.

    Args:
        path: File to write; an existing one is replaced.
        image: (H, W, 3) uint8 RGB.
        um_per_px: um per px, above 0 and below 1000.

    Raises:
        ValueError: The image is not (H, W, 3) uint8, or um_per_px is out of range.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"{path}: a slide is (H, W, 3) uint8. Received: {image.shape} {image.dtype}.")
    if not 0.0 < um_per_px < 1000.0:
        raise ValueError(f"{path}: um_per_px: above 0 and below 1000. Received: {um_per_px}.")
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for step, level in enumerate(_build_pyramid(image)):
            pixels_per_cm = 1e4 / (um_per_px * 2**step)
            file.write(
                level,
                tile=(_TILE_PX, _TILE_PX),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": _JPEG_QUALITY},
                subfiletype=int(step > 0),
                resolution=(pixels_per_cm, pixels_per_cm),
                resolutionunit="CENTIMETER",
                metadata=None,
                software=False,
                maxworkers=1,
            )


def _build_pyramid(image: U8) -> list[U8]:
    levels = [image]
    while max(levels[-1].shape) > _TOP_PX:
        height, width = (max(1, side // 2) for side in levels[-1].shape[:2])
        even = levels[-1][: height * 2, : width * 2]
        levels.append(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA))
    return levels
