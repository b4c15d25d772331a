"""Cut the demo's real slide out of a region of the Pathology Atlas, as a TIFF of JPEG tiles with a pyramid.

python tools/cut_demo_slide.py melanosis_coli_half.tif glandseg/cli/demo_slide/colon.tif
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import tifffile
from numpy.typing import NDArray

LEFT, TOP, WIDTH, HEIGHT = 128, 2560, 2048, 1792
UM_PER_PX = 0.7  # no file states it: crypts and nuclei suggest it
JPEG_QUALITY = 70
TILE_PX, LEVELS = 256, 3
DESCRIPTION = (
    "Colon, melanosis coli, H&E. Pathology Atlas, https://www.patolojiatlasi.com, CC BY 4.0; "
    "a region, cut, halved in resolution and compressed again. Its um/px is estimated."
)


def main() -> None:
    """Cut and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("region", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    image = np.asarray(tifffile.imread(args.region, key=0), np.uint8)
    write_pyramid(args.out, image[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH])


def write_pyramid(path: Path, image: NDArray[np.uint8]) -> None:
    """Write levels of half the size each, (H, W, 3) uint8 RGB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tifffile.TiffWriter(path) as tiff:
        for level in range(LEVELS):
            tiff.write(
                encode_tiles(image),
                shape=image.shape,
                dtype=image.dtype,
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                resolution=(1e4 / (UM_PER_PX * 2**level),) * 2,
                resolutionunit="CENTIMETER",
                description=DESCRIPTION if level == 0 else None,
                subfiletype=int(level > 0),
                metadata=None,
            )
            image = np.asarray(
                cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8
            )


def encode_tiles(image: NDArray[np.uint8]) -> Iterator[bytes]:
    """Yield the tiles of an image, row by row, as JPEG in YCbCr; those at the edges repeat its last px."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((0, -height % TILE_PX), (0, -width % TILE_PX), (0, 0)), mode="edge")
    for y in range(0, height, TILE_PX):
        for x in range(0, width, TILE_PX):
            tile = np.ascontiguousarray(padded[y : y + TILE_PX, x : x + TILE_PX])
            yield simplejpeg.encode_jpeg(tile, JPEG_QUALITY, colorspace="RGB", colorsubsampling="420")


if __name__ == "__main__":
    main()
