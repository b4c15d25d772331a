"""GlaS: `NAME.bmp` beside `NAME_anno.bmp` with instance ids, patients in `Grade.csv`, parts in the names."""

from __future__ import annotations

import re
from pathlib import Path

from glandseg.training.data.image_file import find_images, note_left_out, note_unpaired
from glandseg.training.data.patients import read_patients
from glandseg.training.data.sample import DataSet, Sample

UM_PER_PX = 0.62
MASK_ENDING = "_anno"


def read_glas(folder: Path) -> DataSet | None:
    """List GlaS's images, or any others with masks named like them; None where there are none."""
    files = find_images(folder)
    images = {name: path for name, path in files.items() if not name.endswith(MASK_ENDING)}
    masks = {name: files[name + MASK_ENDING] for name in images if name + MASK_ENDING in files}
    if not masks:
        return None
    patients, told = read_patients(folder / "Grade.csv", images, whole=False)
    samples = [
        Sample(
            name=name,
            path=images[name],
            mask_path=mask,
            group=patients.get(name) or name,
            part=find_part(name),
        )
        for name, mask in masks.items()
    ]
    notes = (*told, *note_unpaired(images, masks), *note_left_out(folder))
    return DataSet(kind="glas", samples=tuple(samples), um_per_px=UM_PER_PX, notes=notes)


def find_part(name: str) -> str | None:
    """Give the contest's part that a name announces: train, testA or testB."""
    part = re.fullmatch(r"(train|testA|testB)_\d+", name)
    return part.group(1) if part else None
