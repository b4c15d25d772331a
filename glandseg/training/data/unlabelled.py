"""Images that nobody labelled, for a teacher to label: a folder of them, or its folder `images`."""

from __future__ import annotations

from pathlib import Path

from glandseg.training.data.image_file import find_images, note_left_out
from glandseg.training.data.outlined import INDEX_CSV
from glandseg.training.data.patients import read_patients
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.data.table import read_um


def read_unlabelled(folder: Path) -> DataSet | None:
    """List images; None where there are none. An `index.csv` may tell name, patient and um_per_px.

    Raises:
        BadInputError: if `index.csv` is not a table with the columns name and patient.
    """
    place = folder if find_images(folder) else folder / "images"
    images = find_images(place)
    patients, notes = read_patients(folder / INDEX_CSV, images)
    samples = tuple(
        Sample(name=name, path=path, group=patients.get(name) or name) for name, path in images.items()
    )
    if not samples:
        return None
    notes += note_left_out(place)
    return DataSet(kind="images", samples=samples, um_per_px=read_um(folder / INDEX_CSV), notes=notes)
