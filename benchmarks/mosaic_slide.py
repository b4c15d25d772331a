"""Slides of any size whose glands are known: a mosaic of real tissue, or islands of it on glass.

A tiled, pyramidal JPEG BigTIFF with its um/px in the tags, for OpenSlide and tifffile. Each distinct square
of tissue is encoded once and its tiles written wherever it lies; all tiles of glass share one place in the
file. The same arguments give the same slide. GlaS's licence forbids passing on what is made of it: delete
the slides after measuring.

    python benchmarks/mosaic_slide.py --side 8192 --out x.tif --truth x.truth.tif
    python benchmarks/mosaic_slide.py --side 100000 --tissue 0.05 --out x.tif
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile

from benchmarks.mosaic_layout import Mosaic
from benchmarks.mosaic_tissue import GLAS, GLASS, TILE_PX, encode_tile, find_tissue
from benchmarks.mosaic_truth import write_truth

MODEL_UM_PER_PX = 1.3  # of the bundled model


def main() -> None:
    """Write the slide, and its truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--side", type=int, default=8192, help="side in level-0 px")
    parser.add_argument("--tissue", type=float, default=1.0, help="share of the slide; the rest is glass")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--glas", type=Path, default=GLAS, help="folder of GlaS; without it, synthetic tissue"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--truth", type=Path, help="mask of the glands, 255, at --um")
    parser.add_argument("--um", type=float, default=MODEL_UM_PER_PX, help="um/px of the truth")
    args = parser.parse_args()
    mosaic = Mosaic(find_tissue(args.glas), side_px=args.side, share=args.tissue, seed=args.seed)
    write_slide(args.out, mosaic)
    if args.truth:
        write_truth(args.truth, mosaic, args.um)
    print(f"{args.out}: {args.side} x {args.side} px of {mosaic.tissue.name}")


def write_slide(path: Path, mosaic: Mosaic) -> None:
    """Write the pyramid tile by tile, then let all tiles of glass share one at the end of the file."""
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for level in range(mosaic.levels):
            px_per_cm = 1e4 / (mosaic.tissue.um_per_px * 2**level)
            side = mosaic.level_side(level)
            tiff.write(
                _list_tiles(mosaic, level),
                shape=(side, side, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                subfiletype=int(level > 0),
                resolution=(px_per_cm, px_per_cm),
                resolutionunit="CENTIMETER",
                metadata=None,
                software=False,
            )
    share_glass(path)


def share_glass(path: Path) -> None:
    """Append one tile of glass, and point every tile without bytes to it."""
    glass = encode_tile(np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8))
    with path.open("ab") as file:
        offset = file.tell()
        file.write(glass)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        for page in tiff.pages:
            offsets, counts = (np.array(page.tags[name].value) for name in ("TileOffsets", "TileByteCounts"))
            empty = counts == 0
            if empty.any():
                page.tags["TileOffsets"].overwrite(np.where(empty, offset, offsets).tolist())
                page.tags["TileByteCounts"].overwrite(np.where(empty, len(glass), counts).tolist())


def _list_tiles(mosaic: Mosaic, level: int) -> Iterator[bytes]:
    count = -(-mosaic.level_side(level) // TILE_PX)
    return (mosaic.encode(level, row, column) for row in range(count) for column in range(count))


if __name__ == "__main__":
    main()
