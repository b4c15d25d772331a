"""ProG, published as "RINGS algorithm dataset": `TRAIN` and `TEST`, each `IMAGES` beside `MANUAL GLANDS`.

The images are 1500 x 1500 px, 1000 to train on and 500 to test on; their names begin with the patient, such
as `P15_D2_2_7_1.png`. Masks of tumour (`MANUAL TUMOR`) are not read: a tumour's glands are glands too.
"""

from __future__ import annotations

import re
from pathlib import Path

from glandseg.training.data.image_file import find_images, note_left_out, note_unpaired
from glandseg.training.data.sample import DataSet, Sample, pair_samples

UM_PER_PX = 0.934
PARTS = ("train", "test")


def read_prog(folder: Path) -> DataSet | None:
    """List ProG's images below its folder or the folder around it; None if there are none."""
    for base in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        samples: list[Sample] = []
        notes: tuple[str, ...] = ()
        for part, part_folder in find_subfolders(base, PARTS).items():
            found = find_subfolders(part_folder, ("images", "manual glands"))
            if len(found) == 2:
                images, masks = (find_images(found[name]) for name in ("images", "manual glands"))
                notes += tuple(f"{part_folder.name}: {note}" for note in note_unpaired(images, masks))
                notes += note_left_out(*found.values())
                parts = dict.fromkeys(images, part)
                samples += pair_samples(images, masks, find_patient, prefix=f"{part}/", find_part=parts.get)
        if samples:
            return DataSet(kind="prog", samples=tuple(samples), um_per_px=UM_PER_PX, notes=notes)
    return None


def find_subfolders(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Return the subfolders with these names, in any case, by their names in lower case."""
    return {
        path.name.lower(): path
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name.lower() in names
    }


def find_patient(stem: str) -> str:
    """Return the patient that a name begins with, else the name."""
    patient = re.match(r"P\d+(?=_)", stem)
    return patient.group() if patient else stem
