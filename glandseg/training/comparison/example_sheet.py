"""The sheet of examples of a comparison: the same test images, a column for each method (Feng, Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.settings import DEFAULTS
from glandseg.training.comparison.compare import ComparedRun, Comparison
from glandseg.training.comparison.method_table import name_method
from glandseg.training.data.sample import Sample, pick_evenly
from glandseg.training.evaluation.contact_sheet import CYAN, GREEN, Cell, write_contact_sheet
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.evaluation.scored_model import open_model
from glandseg.training.evaluation.segment import label_file
from glandseg.training.run import Run
from glandseg.training.run_scores import find_test

EXAMPLES = 4


def write_examples(path: Path, comparison: Comparison) -> None:
    """Write a PNG: a row for each of some test images, with the prediction of each method's first seed.

    Args:
        path: PNG file.
        comparison: Comparison with at least one run.
    """
    firsts = [runs[0] for runs in comparison.group().values()]
    samples = pick_evenly(find_test(Run(firsts[0].path), comparison.data_set), EXAMPLES)
    columns = [_draw_column(run, samples) for run in firsts]
    rows = list(zip(*columns, strict=True))
    title = f"{comparison.data_set.kind}, seed {firsts[0].seed}: truth green, prediction cyan"
    write_contact_sheet(path, [cell for row in rows for cell in row], title, columns=len(columns))


def _draw_column(run: ComparedRun, samples: Sequence[Sample]) -> list[Cell]:
    image_um = float(run.record["images_um_per_px"])
    with open_model(run.path) as model:
        masks = [
            label_file(sample, model.backend, image_um, model.um_per_px, model.scales, DEFAULTS)[1]
            for sample in samples
        ]
    return [_draw(run, sample, mask) for sample, mask in zip(samples, masks, strict=True)]


def _draw(run: ComparedRun, sample: Sample, mask: NDArray[np.bool_]) -> Cell:
    truth = sample.read_mask(mask.shape) == 1
    miou = 100 * Confusion.of(mask, truth).miou
    return Cell(
        image=sample.read(),
        outlines=((truth, GREEN), (mask, CYAN)),
        caption=f"{name_method(run.method)}  {sample.name}  {miou:.1f} %",
    )
