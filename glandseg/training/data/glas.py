"""GlaS: `NAME.bmp` beside `NAME_anno.bmp` with instance ids, patients in `Grade.csv`, parts in the names."""

from __future__ import annotations

import re
from pathlib import Path

from glandseg.training.data.image_file import find_images, note_left_out, note_unpaired
from glandseg.training.data.patients import read_patients
from glandseg.training.data.sample import DataSet, pair_samples

UM_PER_PX = 0.62
MASK_ENDING = "_anno"


def read_glas(folder: Path) -> DataSet | None:
    """List the images of GlaS, or others with masks named likewise; None if there are none."""
    files = find_images(folder)
    images = {name: path for name, path in files.items() if not name.endswith(MASK_ENDING)}
    masks = {name: files[name + MASK_ENDING] for name in images if name + MASK_ENDING in files}
    if not masks:
        return None
    patients, notes = read_patients(folder / "Grade.csv", images, whole=False)
    samples = pair_samples(images, masks, patients.get, find_part=find_part)
    notes += note_unpaired(images, masks) + note_left_out(folder)
    return DataSet(kind="glas", samples=samples, um_per_px=UM_PER_PX, notes=notes)


def find_part(name: str) -> str | None:
    """Return the challenge's part in an image's name: train, testA or testB; None without one."""
    part = re.fullmatch(r"(train|testA|testB)_\d+", name)
    return part.group(1) if part else None
