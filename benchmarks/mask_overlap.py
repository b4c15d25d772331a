"""Dice of two mask files, a band of rows at a time."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

BAND_PX = 512


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """Numbers of gland px in the first mask, in the second, in both."""

    first: int
    second: int
    both: int

    @property
    def dice(self) -> float:
        """Return 2 |A and B| / (|A| + |B|); 1 where both are empty."""
        return 2 * self.both / total if (total := self.first + self.second) else 1.0


def compare_masks(first: Path, second: Path) -> Overlap:
    """Count the gland px of two masks of one slide, a band of rows at a time.

    Masks of other sizes are stretched over each other, by the nearest pixel; those that differ by the last
    row or column alone, which may lie partly off the slide, are laid corner on corner.
    """
    counts = np.zeros(3, np.int64)
    with openslide.open_slide(first) as a, openslide.open_slide(second) as b:
        for rows, band in read_bands(a):
            other = read_stretched(b, rows, a.dimensions)
            counts += [np.count_nonzero(part) for part in (band, other, band & other)]
    return Overlap(first=int(counts[0]), second=int(counts[1]), both=int(counts[2]))


def read_bands(mask: openslide.AbstractSlide) -> Iterator[tuple[range, NDArray[np.bool_]]]:
    """Yield a mask's rows from the top, (rows, W) bool, True for gland."""
    height = mask.dimensions[1]
    for top in range(0, height, BAND_PX):
        rows = range(top, min(top + BAND_PX, height))
        yield rows, read_rows(mask, rows.start, rows.stop)


def read_stretched(mask: openslide.AbstractSlide, rows: range, onto_wh: tuple[int, int]) -> NDArray[np.bool_]:
    """Read the rows of a mask stretched to another size."""
    width, height = mask.dimensions
    if (width, height) == onto_wh:
        return read_rows(mask, rows.start, rows.stop)
    y, x = np.array(rows), np.arange(onto_wh[0])
    if max(abs(width - onto_wh[0]), abs(height - onto_wh[1])) > 1:
        y = ((y + 0.5) * height / onto_wh[1]).astype(np.int64)
        x = ((x + 0.5) * width / onto_wh[0]).astype(np.int64)
    y, x = np.minimum(y, height - 1), np.minimum(x, width - 1)
    return read_rows(mask, int(y[0]), int(y[-1]) + 1)[np.ix_(y - y[0], x)]


def read_rows(mask: openslide.AbstractSlide, start: int, stop: int) -> NDArray[np.bool_]:
    """Read rows of a mask, (rows, W) bool."""
    width = mask.dimensions[0]
    return np.asarray(mask.read_region((0, start), 0, (width, stop - start)))[..., 1] > 0


def main() -> None:
    """Print the Dice of two masks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("masks", type=Path, nargs=2)
    print(f"{compare_masks(*parser.parse_args().masks).dice:.6f}")


if __name__ == "__main__":
    main()
