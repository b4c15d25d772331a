"""The images with the lowest mIoU, collected during an evaluation and drawn on a sheet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.training.data.datasets import Sample
from glandseg.training.evaluation.contact_sheet import CYAN, GREEN, Cell, write_contact_sheet
from glandseg.training.evaluation.evaluate import ImageScore


class WorstImages:
    """The images with the lowest mIoU; only their masks are held in memory.

    Args:
        count: Number of images to keep.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[tuple[float, Sample, NDArray[np.bool_]]] = []

    def add(self, sample: Sample, score: ImageScore, mask: NDArray[np.bool_]) -> None:
        """Keep a sample and its predicted mask, (H, W) bool, if it is among the worst so far."""
        self._kept.append((score.confusion.miou, sample, mask))
        self._kept.sort(key=lambda kept: (kept[0], kept[1].name))
        del self._kept[self._count :]

    def list_names(self) -> list[str]:
        """Return the samples' names, the worst first."""
        return [sample.name for _, sample, _ in self._kept]

    def write_sheet(self, path: Path, name: str) -> None:
        """Write a contact sheet, the worst first, with true and predicted outlines.

        Args:
            path: PNG file.
            name: Name of the model.
        """
        cells = []
        for miou, sample, mask in self._kept:
            truth = sample.read_mask(mask.shape) == 1
            caption = f"{sample.name}  mIoU {100 * miou:.1f} %"
            cells.append(Cell(image=sample.read(), outlines=((truth, GREEN), (mask, CYAN)), caption=caption))
        write_contact_sheet(path, cells, f"{name}: worst {len(cells)}; truth green, prediction cyan")
