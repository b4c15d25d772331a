"""The record of stage 1, to be checked before stage 2: a manifest of the pseudo masks and a contact sheet."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from glandseg.core.atomic import write_whole
from glandseg.core.system import hash_file
from glandseg.training.data.augment import IGNORED
from glandseg.training.data.sample import Sample, pick_evenly
from glandseg.training.evaluation.contact_sheet import GREEN, YELLOW, Cell, write_contact_sheet
from glandseg.training.run import Run

MANIFEST, SHEET = "manifest.csv", "pseudo_masks.png"
SHEET_CELLS = 12
COLUMNS = ("name", "width_px", "height_px", "gland_share", "ignored_share", "sha256")


def record_pseudo_masks(run: Run, samples: Sequence[Sample]) -> None:
    """Write the manifest and the contact sheet of a run's pseudo masks, all of which exist."""
    write_manifest(run, samples)
    write_pseudo_mask_sheet(run, samples)


def has_record(run: Run) -> bool:
    """Return whether a run's pseudo masks were recorded."""
    return (run.pseudo_masks_path / MANIFEST).is_file() and (run.path / SHEET).is_file()


def write_manifest(run: Run, samples: Sequence[Sample]) -> Path:
    """Write `pseudo_masks/manifest.csv`: size, shares of the pixels and hash of each PNG."""
    path = run.pseudo_masks_path / MANIFEST
    with write_whole(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_describe(run, sample.name) for sample in samples)
    return path


def _describe(run: Run, name: str) -> tuple[str | int, ...]:
    mask = run.read_pseudo_mask(name)
    shares = (f"{np.mean(mask == label):.4f}" for label in (1, IGNORED))
    return (name, mask.shape[1], mask.shape[0], *shares, hash_file(run.pseudo_masks_path / f"{name}.png"))


def write_pseudo_mask_sheet(run: Run, samples: Sequence[Sample]) -> Path:
    """Write `pseudo_masks.png`: some images, evenly spaced by name, so the same in every run."""
    cells = [_draw(run, sample) for sample in pick_evenly(samples, SHEET_CELLS)]
    title = f"pseudo masks of {len(cells)} of {len(samples)} images: gland green, ignored yellow"
    write_contact_sheet(run.path / SHEET, cells, title)
    return run.path / SHEET


def _draw(run: Run, sample: Sample) -> Cell:
    mask = run.read_pseudo_mask(sample.name)
    outlines = ((mask == IGNORED, YELLOW), (mask == 1, GREEN))
    caption = f"{sample.name}  gland {100 * np.mean(mask == 1):.0f} %"
    return Cell(image=sample.read(), outlines=outlines, caption=caption)
