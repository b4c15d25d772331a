"""Intact files of every format that a run may be given, small and quick to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
UM_PER_PX = 0.7
TILED: dict[str, Any] = {"tile": (256, 256), "photometric": "rgb"}
RESOLUTION: dict[str, Any] = {
    "resolution": (1e4 / UM_PER_PX,) * 2,
    "resolutionunit": "CENTIMETER",
    "metadata": None,
}
APERIO = "Aperio Image Library v11.2.1\r\n{width}x{height} (256x256) JPEG/RGB Q=70|AppMag = 20|MPP = 0.7"


def write_tiff(**options: Any) -> Callable[[Path, Pixels], None]:
    """Return a function that writes a TIFF with these options."""

    def write(path: Path, image: Pixels) -> None:
        tifffile.imwrite(path, image, **RESOLUTION, **{"photometric": "rgb", **options})

    return write


def write_pyramid(path: Path, image: Pixels) -> None:
    """Write a generic TIFF whose second page is the half-size level."""
    with tifffile.TiffWriter(path) as file:
        file.write(image, compression="deflate", **TILED, **RESOLUTION)
        file.write(image[::2, ::2], subfiletype=1, compression="deflate", **TILED, metadata=None)


def write_ome(path: Path, image: Pixels) -> None:
    """Write an OME-TIFF with its half-size level in a SubIFD."""
    said = {"axes": "YXS", **{f"PhysicalSize{axis}": UM_PER_PX for axis in "XY"}}
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(image, subifds=1, metadata=said, compression="deflate", **TILED)
        file.write(image[::2, ::2], subfiletype=1, compression="deflate", **TILED)


def write_svs(path: Path, image: Pixels) -> None:
    """Write what OpenSlide takes for an Aperio slide."""
    height, width = image.shape[:2]
    description = APERIO.format(width=width, height=height)
    tifffile.imwrite(path, image, compression="jpeg", description=description, metadata=None, **TILED)


def write_image(path: Path, image: Pixels) -> None:
    """Write an image in the format that the name says."""
    options = [cv2.IMWRITE_WEBP_QUALITY, 101] if path.suffix == ".webp" else []
    cv2.imwrite(str(path), image[..., ::-1], options)


SLIDES: Mapping[str, Callable[[Path, Pixels], None]] = {
    "jpeg.tif": write_tiff(tile=(256, 256), compression="jpeg"),
    "deflate.tif": write_tiff(tile=(256, 256), compression="deflate"),
    "lzw.tif": write_tiff(tile=(256, 256), compression="lzw", predictor=True),
    "j2k.tif": write_tiff(tile=(256, 256), compression="jpeg2000"),
    "raw.tif": write_tiff(tile=(256, 256)),
    "strips.tif": write_tiff(rowsperstrip=64, compression="deflate"),
    "big.tif": write_tiff(tile=(256, 256), compression="deflate", bigtiff=True),
    "pyramid.tif": write_pyramid,
    "slide.ome.tif": write_ome,
    "slide.svs": write_svs,
    "image.png": write_image,
    "image.jpg": write_image,
    "image.webp": write_image,
    "image.bmp": write_image,
}
