"""Anyone's outlines: `images` and `masks` of equal names, and an `index.csv` (name,patient) where known."""

from __future__ import annotations

from pathlib import Path

from glandseg.training.data.image_file import find_images, note_left_out, note_unpaired
from glandseg.training.data.patients import read_patients
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.data.table import read_um

INDEX_CSV = "index.csv"


def read_outlined(folder: Path) -> DataSet | None:
    """List images with masks; None where there are none.

    Raises:
        BadInputError: if `index.csv` is not a table with the columns name and patient.
    """
    images, masks = find_images(folder / "images"), find_images(folder / "masks")
    if not images or not masks:
        return None
    patients, told = read_patients(folder / INDEX_CSV, images)
    samples = [
        Sample(name=name, path=path, mask_path=masks[name], group=patients.get(name) or name)
        for name, path in images.items()
        if name in masks
    ]
    if not samples:
        return None
    return DataSet(
        kind="outlines",
        samples=tuple(samples),
        um_per_px=read_um(folder / INDEX_CSV),
        notes=(*told, *note_unpaired(images, masks), *note_left_out(folder / "images", folder / "masks")),
    )
