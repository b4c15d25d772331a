"""EBHI-Seg: `CLASS/image` and `CLASS/label`, or `images`, `masks` and `index.csv` (name,class,patient)."""

from __future__ import annotations

import re
from pathlib import Path

from glandseg.training.data.image_file import find_images, note_left_out, note_names, note_unpaired
from glandseg.training.data.patients import match_stem, read_parts, read_patients
from glandseg.training.data.sample import DataSet, Sample, pair_samples
from glandseg.training.data.table import has_column, read_column

# Not published: estimated with a model of GlaS by benchmarks/settle_resolution.py.
UM_PER_PX = 1.3
CLASSES = ("normal", "polyp", "serrated", "low", "high", "adenocarcinoma")  # prefixes of their names


def read_ebhi_classes(folder: Path) -> DataSet | None:
    """List the images of the published layout; None if there are none."""
    samples: list[Sample] = []
    notes: tuple[str, ...] = ()
    for class_folder in sorted(path.parent for path in folder.glob("*/image")):
        images, masks = find_images(class_folder / "image"), find_images(class_folder / "label")
        notes += tuple(f"{class_folder.name}: {note}" for note in note_unpaired(images, masks))
        notes += note_left_out(class_folder / "image", class_folder / "label")
        samples += pair_samples(images, masks, find_patient, prefix=f"{class_folder.name}/")
    if not samples:
        return None
    return DataSet(kind="ebhi", samples=tuple(samples), um_per_px=UM_PER_PX, notes=notes)


def read_ebhi_index(folder: Path) -> DataSet | None:
    """List the images of the indexed layout; None if there are none, or `index.csv` has other classes."""
    table = folder / "index.csv"
    if not has_ebhi_classes(table):
        return None
    images, masks = find_images(folder / "images"), find_images(folder / "masks")
    patients, notes = read_patients(table, images, whole=False)
    listed = {match_stem(name, set(images)) for name in read_column(table, "name", "class")}
    unlisted = sorted(set(images) - listed)
    parts = read_parts(table, set(images) & listed)
    named = {stem: images[stem] for stem in sorted(set(images) & listed)}
    samples = pair_samples(named, masks, patients.get, find_part=parts.get)
    notes += note_names(unlisted, "{} images that index.csv does not name")
    if not samples:
        return None
    notes += note_unpaired(images, masks) + note_left_out(folder / "images", folder / "masks")
    return DataSet(kind="ebhi", samples=samples, um_per_px=UM_PER_PX, notes=notes)


def has_ebhi_classes(table: Path) -> bool:
    """Return whether a table's column `class` holds EBHI-Seg's classes and no others."""
    if not has_column(table, "class"):
        return False
    classes = set(read_column(table, "name", "class").values())
    return bool(classes) and all(name.lower().startswith(CLASSES) for name in classes)


def find_patient(stem: str) -> str:
    """Return the patient's digits in an image's name, else the name."""
    digits = re.search(r"\d{6,}", stem)
    return digits.group() if digits else stem
