"""Anyone's images: `images` and, where annotated, `masks` of equal names, and an `index.csv`."""

from __future__ import annotations

from pathlib import Path

from glandseg.training.data.image_file import find_images, note_left_out, note_unpaired
from glandseg.training.data.patients import read_parts, read_patients
from glandseg.training.data.sample import DataSet, Sample, pair_samples
from glandseg.training.data.table import read_um

INDEX_CSV = "index.csv"  # columns name, patient and, where known, um_per_px and part


def read_outlined(folder: Path) -> DataSet | None:
    """List images with masks; None if there are none.

    Raises:
        BadInputError: If `index.csv` is not a table with the columns name and patient.
    """
    images, masks = find_images(folder / "images"), find_images(folder / "masks")
    if not images or not masks:
        return None
    patients, notes = read_patients(folder / INDEX_CSV, images)
    parts = read_parts(folder / INDEX_CSV, images)
    samples = pair_samples(images, masks, patients.get, find_part=parts.get)
    notes += note_unpaired(images, masks) + note_left_out(folder / "images", folder / "masks")
    return _build("outlines", folder, samples, notes)


def read_unlabelled(folder: Path) -> DataSet | None:
    """List images without labels, of a folder or its folder `images`; None if there are none.

    Raises:
        BadInputError: If `index.csv` is not a table with the columns name and patient.
    """
    place = folder if find_images(folder) else folder / "images"
    images = find_images(place)
    patients, notes = read_patients(folder / INDEX_CSV, images)
    samples = tuple(
        Sample(name=name, path=path, group=patients.get(name) or name) for name, path in images.items()
    )
    return _build("images", folder, samples, notes + note_left_out(place))


def _build(kind: str, folder: Path, samples: tuple[Sample, ...], notes: tuple[str, ...]) -> DataSet | None:
    if not samples:
        return None
    return DataSet(kind=kind, samples=samples, um_per_px=read_um(folder / INDEX_CSV), notes=notes)
